using System.Collections.Concurrent;
using Microsoft.Win32.SafeHandles;
using P2PWeights.Native.Posix;
using P2PWeights.Store.Content;

namespace P2PWeights.Store.Disk;

/// <summary>
/// The files of the disk tier and their quota: <c>shards/ab/DIGEST</c>, new ones as <c>shards/tmp/*</c> until they are whole and synced,
/// wrong ones in <c>quarantine/</c>. Knows nothing of the index; <see cref="DiskKeeper"/> keeps the two together. Thread-safe.
/// </summary>
internal sealed class DiskTier
{
    /// <summary>File systems give room in blocks of this size.</summary>
    private const int BlockBytes = 4096;

    private readonly string _shards;
    private readonly string _unfinished;
    private readonly string _quarantine;
    private readonly ConcurrentDictionary<Digest, int> _leases = new();
    private long _usedBytes;
    private long _count;
    private long _unfinishedNumber;

    /// <summary>Opens the tier's folders, making them when missing, and removes what an earlier process left unfinished.</summary>
    public DiskTier(string dataFolder, long quotaBytes)
    {
        QuotaBytes = quotaBytes;
        _shards = Path.Combine(dataFolder, "shards");
        _unfinished = Path.Combine(_shards, "tmp");
        _quarantine = Path.Combine(dataFolder, "quarantine");
        Directory.CreateDirectory(_quarantine);

        // Each of them: a person may have removed some, with what they held.
        var isNew = !Directory.Exists(_unfinished);
        for (var first = 0; first < 256; first++)
        {
            Directory.CreateDirectory(Path.Combine(_shards, first.ToString("x2", null)));
        }

        Directory.CreateDirectory(_unfinished);
        if (isNew)
        {
            PosixFile.SyncFolder(_shards);
            PosixFile.SyncFolder(dataFolder);
        }

        foreach (var left in Directory.EnumerateFiles(_unfinished))
        {
            File.Delete(left);
        }
    }

    public long QuotaBytes { get; }

    /// <summary>Bytes that the shards take, rounding and reservations included.</summary>
    public long UsedBytes => Interlocked.Read(ref _usedBytes);

    public long Shards => Interlocked.Read(ref _count);

    /// <summary>Bytes that a shard takes on the disk.</summary>
    public static long RoomFor(int size) => (size + BlockBytes - 1L) / BlockBytes * BlockBytes;

    public string PathOf(Digest digest)
    {
        var name = digest.ToString();
        return Path.Combine(_shards, name[..2], name);
    }

    /// <summary>Takes quota for a shard; null when it would go over.</summary>
    public DiskReservation? TryReserve(int size)
    {
        var bytes = RoomFor(size);
        if (Interlocked.Add(ref _usedBytes, bytes) <= QuotaBytes)
        {
            return new DiskReservation(this, bytes);
        }

        GiveBack(bytes);
        return null;
    }

    public void GiveBack(long bytes) => Interlocked.Add(ref _usedBytes, -bytes);

    /// <summary>Counts a shard that became part of the tier.</summary>
    public void CountStored() => Interlocked.Increment(ref _count);

    /// <summary>Counts a shard found at the start, whose room nobody has reserved.</summary>
    public void CountFound(int size)
    {
        Interlocked.Add(ref _usedBytes, RoomFor(size));
        CountStored();
    }

    /// <summary>Counts a shard that left the tier.</summary>
    public void CountRemoved(int size)
    {
        GiveBack(RoomFor(size));
        Interlocked.Decrement(ref _count);
    }

    /// <summary>
    /// Writes a shard under its name, durably: data synced, then renamed, then the folder synced. A failed sync fails the write and its file is thrown
    /// away: after one, the kernel may have dropped the dirty pages, so a second sync that succeeds would prove nothing.
    /// </summary>
    public async ValueTask WriteAsync(ShardInfo shard, ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        var path = PathOf(shard.Digest);
        var unfinished = Path.Combine(_unfinished, $"{Path.GetFileName(path)}.{Interlocked.Increment(ref _unfinishedNumber)}");
        try
        {
            using (var file = File.OpenHandle(unfinished, FileMode.CreateNew, FileAccess.Write, FileShare.None))
            {
                await RandomAccess.WriteAsync(file, bytes, 0, cancellationToken).ConfigureAwait(false);

                // Whole for good: that is what lets another store on this host take the file by a hard link.
                PosixFile.ForbidWriting(file);
                RandomAccess.FlushToDisk(file);
            }

            File.Move(unfinished, path, overwrite: true);
            PosixFile.SyncFolder(Path.GetDirectoryName(path)!);
        }
        catch
        {
            File.Delete(unfinished);
            throw;
        }
    }

    /// <summary>
    /// Takes a file of another store's disk tier by a hard link, if it is one: named by the digest, whole, and writable for nobody. Anything else may be a file that a
    /// person goes on editing. Nothing is synced: the file's bytes are, and a link lost in a power cut is only made again.
    /// </summary>
    /// <returns>False when it is not such a file, or cannot be linked here.</returns>
    public bool TryLink(ShardInfo shard, SafeFileHandle file, string path)
    {
        if (Path.GetFileName(path) != shard.Digest.ToString() || PosixFile.Stat(file) is not { IsReadOnly: true } stat || stat.Size != shard.Size)
        {
            return false;
        }

        try
        {
            return PosixFile.TryLink(file, PathOf(shard.Digest));
        }
        catch (IOException failure) when (Errno.Of(failure) == Errno.Exists)
        {
            return false;
        }
    }

    /// <summary>Opens a shard's file; null when it is missing or has another length.</summary>
    public SafeFileHandle? TryOpen(ShardInfo shard)
    {
        try
        {
            var file = File.OpenHandle(PathOf(shard.Digest), FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
            if (RandomAccess.GetLength(file) == shard.Size)
            {
                return file;
            }

            file.Dispose();
            return null;
        }
        catch (Exception failure) when (failure is FileNotFoundException or DirectoryNotFoundException)
        {
            return null;
        }
    }

    /// <summary>Removes a shard's file; a missing one is fine. Readers that have it open go on.</summary>
    public void Delete(Digest digest) => File.Delete(PathOf(digest));

    /// <summary>Moves a shard's file out of the way, to be looked at by a person. Returns where it is now; null when there was none.</summary>
    public string? Quarantine(Digest digest)
    {
        var kept = Path.Combine(_quarantine, digest.ToString());
        try
        {
            File.Move(PathOf(digest), kept, overwrite: true);
            return kept;
        }
        catch (FileNotFoundException)
        {
            return null;
        }
    }

    /// <summary>Digests of all files in the tier, by their names. Files with other names are ignored: they are not ours.</summary>
    public IEnumerable<Digest> Names()
    {
        for (var first = 0; first < 256; first++)
        {
            foreach (var path in Directory.EnumerateFiles(Path.Combine(_shards, first.ToString("x2", null))))
            {
                if (Digest.TryParse(Path.GetFileName(path.AsSpan()), out var digest))
                {
                    yield return digest;
                }
            }
        }
    }

    /// <summary>Bytes of a shard's file.</summary>
    public long SizeOf(Digest digest) => PosixFile.TryStat(PathOf(digest), followSymlinks: true)?.Size ?? 0;

    public void AddLease(Digest digest) => _leases.AddOrUpdate(digest, 1, static (_, count) => count + 1);

    public void EndLease(Digest digest)
    {
        if (_leases.AddOrUpdate(digest, 0, static (_, count) => count - 1) == 0)
        {
            // Only while still 0: another lease may have begun since.
            _leases.TryRemove(KeyValuePair.Create(digest, 0));
        }
    }

    public bool IsLeased(Digest digest) => _leases.TryGetValue(digest, out var count) && count > 0;
}
