using P2PWeights.Store.Content;

namespace P2PWeights.Store;

/// <summary>Room for one shard on its way in. One owner fills <see cref="Buffer"/>, commits, disposes.</summary>
public sealed class ShardWrite : IDisposable
{
    internal ShardWrite() => throw new NotImplementedException();

    public ShardInfo Shard => throw new NotImplementedException();

    /// <summary>Exactly <c>Shard.Size</c> bytes of stable native memory: the final place in the memory tier, or a staging block.</summary>
    public Memory<byte> Buffer => throw new NotImplementedException();

    /// <summary>Hashes the buffer and makes the shard visible. A shard that came by another way meanwhile is a success too.</summary>
    /// <exception cref="StoreException"><see cref="StoreError.WrongDigest"/>: nothing became visible; <see cref="StoreError.Full"/> or <see cref="StoreError.Io"/>: the disk failed.</exception>
    public ValueTask CommitAsync(CancellationToken cancellationToken) => throw new NotImplementedException();

    /// <summary>Gives the room back when it was not committed.</summary>
    public void Dispose() => throw new NotImplementedException();
}
