using System.Collections.Concurrent;

namespace P2PWeights.Store.Adopting;

/// <summary>
/// The borrowed ranges that the index points to. Records name them by negative numbers where they would have the number of a referenced file. They are in no journal:
/// the promises do not outlive this process. Thread-safe.
/// </summary>
internal sealed class BorrowedRanges : IDisposable
{
    private readonly ConcurrentDictionary<int, BorrowedRange> _ranges = new();
    private int _lastId;
    private long _bytes;

    /// <summary>Shards borrowed, and their bytes.</summary>
    public (long Shards, long Bytes) Usage => (_ranges.Count, Interlocked.Read(ref _bytes));

    /// <summary>Whether a record's file number names a borrowed range.</summary>
    public static bool IsBorrowed(int fileId) => fileId < 0;

    /// <summary>Takes a range over and gives it a number.</summary>
    public int Add(BorrowedRange range)
    {
        var id = Interlocked.Decrement(ref _lastId);
        _ranges[id] = range;
        Interlocked.Add(ref _bytes, range.Shard.Size);
        return id;
    }

    public BorrowedRange? Find(int id) => _ranges.GetValueOrDefault(id);

    /// <summary>A range for another user, who releases it; null when it is gone or no longer what was promised.</summary>
    public BorrowedRange? TryUse(int id)
    {
        if (Find(id) is not { } range || !range.TryShare())
        {
            return null;
        }

        if (range.IsIntact)
        {
            return range;
        }

        range.Release();
        return null;
    }

    /// <summary>Forgets a range, which no record points to any more.</summary>
    public void Drop(int id)
    {
        if (_ranges.TryRemove(id, out var range))
        {
            Interlocked.Add(ref _bytes, -range.Shard.Size);
            range.Release();
        }
    }

    public void Dispose()
    {
        foreach (var id in _ranges.Keys)
        {
            Drop(id);
        }
    }
}
