using Microsoft.Win32.SafeHandles;
using P2PWeights.Store.Adopting;
using P2PWeights.Store.Content;
using P2PWeights.Store.Leasing;

namespace P2PWeights.Store;

/// <summary>
/// A promise that a shard's bytes stay where they are until it is disposed. Every lease has a file position (the arena is a file too), so that sendfile
/// serves all tiers alike.
/// </summary>
public sealed class ShardLease : IDisposable
{
    private readonly IReplicaHold _hold;
    private int _disposed;

    internal ShardLease(ShardInfo shard, Tiers tier, SafeFileHandle file, long offset, ReadOnlyMemory<byte> memory, IReplicaHold hold) =>
        (Shard, Tier, File, Offset, Memory, _hold) = (shard, tier, file, offset, memory, hold);

    public ShardInfo Shard { get; }

    public Tiers Tier { get; }

    /// <summary>The file that holds the bytes; owned by the store, not to be disposed.</summary>
    public SafeFileHandle File { get; }

    /// <summary>Where in <see cref="File"/> the bytes start.</summary>
    public long Offset { get; }

    /// <summary>Full path that led to <see cref="File"/> when the lease was given, for processes that open it themselves and compare its identity.</summary>
    public required string Path { get; init; }

    /// <summary>Whether a pull is still writing other parts of the file: its mtime moves, and it gets another name in the end.</summary>
    public bool IsUnfinished { get; init; }

    /// <summary>The bytes when they lie in the arena, else empty.</summary>
    public ReadOnlyMemory<byte> Memory { get; }

    /// <summary>
    /// Whether the bytes lie in the arena of another node, whose owner may break its promise at any moment: they are read with <see cref="ReadAsync(Memory{byte}, CancellationToken)"/>,
    /// which tells, and never handed to the kernel to be read later, nor promised to others.
    /// </summary>
    public bool IsBorrowed => Borrowed is not null;

    /// <summary>The borrowed range, which the hold releases.</summary>
    internal BorrowedRange? Borrowed { get; init; }

    /// <summary>Copies the bytes out, whatever the tier.</summary>
    /// <param name="destination">At least <c>Shard.Size</c> bytes.</param>
    /// <exception cref="StoreException"><see cref="StoreError.Io"/>: the file could not be read, has become too short, or is no longer what was promised; another lease may do.</exception>
    public ValueTask ReadAsync(Memory<byte> destination, CancellationToken cancellationToken) => ReadAsync(0, destination[..Shard.Size], cancellationToken);

    /// <summary>Copies a part of the bytes out, whatever the tier.</summary>
    /// <param name="start">Where in the shard the part starts.</param>
    /// <param name="destination">As many bytes as the part has.</param>
    /// <exception cref="StoreException">As for the whole.</exception>
    public async ValueTask ReadAsync(int start, Memory<byte> destination, CancellationToken cancellationToken)
    {
        ObjectDisposedException.ThrowIf(Volatile.Read(ref _disposed) != 0, this);
        ArgumentOutOfRangeException.ThrowIfNegative(start);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(start, Shard.Size - destination.Length);
        if (!Memory.IsEmpty)
        {
            Memory.Slice(start, destination.Length).CopyTo(destination);
            return;
        }

        await FileRange.ReadAsync(Shard, File, Offset + start, destination, cancellationToken).ConfigureAwait(false);

        // After the read: only then is it known what was read.
        if (Borrowed is { IsIntact: false })
        {
            throw new StoreException(
                StoreError.Io, $"shard {Shard.Digest.ToShortString()} was borrowed from the arena {Borrowed.Arena.Path}, whose node no longer promises it", Shard.Digest);
        }
    }

    public void Dispose()
    {
        if (Interlocked.Exchange(ref _disposed, 1) == 0)
        {
            _hold.Release(this);
        }
    }
}
