using Microsoft.Win32.SafeHandles;
using P2PWeights.Store.Content;

namespace P2PWeights.Store;

/// <summary>A promise that a shard's bytes stay where they are until it is disposed. Every lease has a file position (the arena is a file too), so that sendfile serves all tiers alike.</summary>
public sealed class ShardLease : IDisposable
{
    internal ShardLease() => throw new NotImplementedException();

    public ShardInfo Shard => throw new NotImplementedException();

    public Tiers Tier => throw new NotImplementedException();

    /// <summary>The file that holds the bytes; owned by the store, not to be disposed.</summary>
    public SafeFileHandle File => throw new NotImplementedException();

    /// <summary>Where in <see cref="File"/> the bytes start.</summary>
    public long Offset => throw new NotImplementedException();

    /// <summary>The bytes when they lie in the arena, else empty.</summary>
    public ReadOnlyMemory<byte> Memory => throw new NotImplementedException();

    /// <summary>Copies the bytes out, whatever the tier.</summary>
    /// <param name="destination">At least <c>Shard.Size</c> bytes.</param>
    public ValueTask ReadAsync(Memory<byte> destination, CancellationToken cancellationToken) => throw new NotImplementedException();

    public void Dispose() => throw new NotImplementedException();
}
