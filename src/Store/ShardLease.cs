using Microsoft.Win32.SafeHandles;
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

    /// <summary>Copies the bytes out, whatever the tier.</summary>
    /// <param name="destination">At least <c>Shard.Size</c> bytes.</param>
    /// <exception cref="StoreException"><see cref="StoreError.Io"/>: the file could not be read, or has become too short.</exception>
    public async ValueTask ReadAsync(Memory<byte> destination, CancellationToken cancellationToken)
    {
        ObjectDisposedException.ThrowIf(Volatile.Read(ref _disposed) != 0, this);
        destination = destination[..Shard.Size];
        if (!Memory.IsEmpty)
        {
            Memory.CopyTo(destination);
            return;
        }

        try
        {
            for (var done = 0; done < destination.Length;)
            {
                var read = await RandomAccess.ReadAsync(File, destination[done..], Offset + done, cancellationToken).ConfigureAwait(false);
                if (read == 0)
                {
                    throw new StoreException(StoreError.Io, $"shard {Shard.Digest.ToShortString()} ends after {done} of {Shard.Size} bytes: its file was cut short", Shard.Digest);
                }

                done += read;
            }
        }
        catch (IOException failure)
        {
            throw new StoreException(StoreError.Io, $"shard {Shard.Digest.ToShortString()} cannot be read: {failure.Message}", Shard.Digest, failure);
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
