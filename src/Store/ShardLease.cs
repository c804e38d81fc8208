using System.Runtime.CompilerServices;
using Microsoft.Win32.SafeHandles;
using P2PWeights.Store.Adopting;
using P2PWeights.Store.Content;
using P2PWeights.Store.Gpu;
using P2PWeights.Store.Leasing;

namespace P2PWeights.Store;

/// <summary>
/// A promise that a shard's bytes stay where they are until it is disposed. Every lease but those on a GPU has a file position (the arena is a file too), so that
/// sendfile serves all tiers alike. A value, whose copies are one lease: disposing one of them ends it for all, disposing it again does nothing, and whatever else is asked of an ended lease
/// throws <see cref="ObjectDisposedException"/>. A lease allocates nothing.
/// </summary>
public readonly struct ShardLease : IDisposable
{
    private readonly HeldReplica _replica;
    private readonly int _turn;

    /// <param name="replica">Held for this lease alone.</param>
    internal ShardLease(HeldReplica replica) => (_replica, _turn) = (replica, replica.Turn);

    public ShardInfo Shard => Replica.Shard;

    public Tiers Tier => Replica.Tier;

    /// <summary>The file that holds the bytes; owned by the store, not to be disposed.</summary>
    /// <exception cref="InvalidOperationException">They are on a GPU.</exception>
    public SafeFileHandle File => Replica.File ?? throw new InvalidOperationException("a shard on a GPU is in no file");

    /// <summary>With a lease on a GPU: its place in <see cref="ShardStore.Gpus"/>; else null.</summary>
    public int? Gpu => Replica.Gpu?.Gpu;

    /// <summary>Where in <see cref="File"/>, or in the GPU's arena, the bytes start.</summary>
    public long Offset => Replica.Offset;

    /// <summary>Full path that led to <see cref="File"/> when the lease was given, for processes that open it themselves and compare its identity.</summary>
    public string Path => Replica.Path;

    /// <summary>Whether a pull is still writing other parts of the file: its mtime moves, and it gets another name in the end.</summary>
    public bool IsUnfinished => Replica.IsUnfinished;

    /// <summary>The bytes when they lie in the arena, else empty.</summary>
    public ReadOnlyMemory<byte> Memory => Replica.Memory;

    /// <summary>
    /// Whether the bytes lie in the arena of another node, whose owner may break its promise at any moment: they are read with <see cref="ReadAsync(Memory{byte}, CancellationToken)"/>,
    /// which tells, and never handed to the kernel to be read later, nor promised to others.
    /// </summary>
    public bool IsBorrowed => Borrowed is not null;

    /// <summary>The borrowed range.</summary>
    internal BorrowedRange? Borrowed => Replica.Borrowed;

    private HeldReplica Replica
    {
        get
        {
            _replica.ThrowIfEnded(_turn, typeof(ShardLease));
            return _replica;
        }
    }

    /// <summary>Copies the bytes out, whatever the tier.</summary>
    /// <param name="destination">At least <c>Shard.Size</c> bytes.</param>
    /// <exception cref="StoreException"><see cref="StoreError.Io"/>: the file could not be read, has become too short, or is no longer what was promised; another lease may do.</exception>
    public ValueTask ReadAsync(Memory<byte> destination, CancellationToken cancellationToken) => ReadAsync(0, destination[..Shard.Size], cancellationToken);

    /// <summary>Copies a part of the bytes out, whatever the tier.</summary>
    /// <param name="start">Where in the shard the part starts.</param>
    /// <param name="destination">As many bytes as the part has.</param>
    /// <exception cref="StoreException">As for the whole.</exception>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    public async ValueTask ReadAsync(int start, Memory<byte> destination, CancellationToken cancellationToken)
    {
        var replica = Replica;
        ArgumentOutOfRangeException.ThrowIfNegative(start);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(start, replica.Shard.Size - destination.Length);
        if (!replica.Memory.IsEmpty)
        {
            replica.Memory.Slice(start, destination.Length).CopyTo(destination);
            return;
        }

        if (replica.Gpu is { } place)
        {
            await ReadAsync(replica.Shard, place, start, destination).ConfigureAwait(false);
            return;
        }

        await FileRange.ReadAsync(replica.Shard, replica.File, replica.Offset + start, destination, cancellationToken).ConfigureAwait(false);

        // After the read: only then is it known what was read.
        if (Borrowed is { IsIntact: false } borrowed)
        {
            throw new StoreException(
                StoreError.Io, $"shard {Shard.Digest.ToShortString()} was borrowed from the arena {borrowed.Arena.Path}, whose node no longer promises it", Shard.Digest);
        }
    }

    /// <summary>Copies out of a GPU. A copy that was begun cannot be cancelled.</summary>
    private static async ValueTask ReadAsync(ShardInfo shard, GpuPlace place, int start, Memory<byte> destination)
    {
        try
        {
            await place.Arena.CopyOutAsync(place.Offset + start, destination).ConfigureAwait(false);
        }
        catch (IOException failure)
        {
            throw StoreFailure.Of(failure, $"copying shard {shard.Digest.ToShortString()} from {place.Arena.Device}", shard.Digest);
        }
    }

    public void Dispose() => _replica?.End(_turn);
}
