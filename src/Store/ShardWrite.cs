using P2PWeights.Store.Content;
using P2PWeights.Store.Writing;

namespace P2PWeights.Store;

/// <summary>
/// Room for one shard on its way in. One owner fills <see cref="Buffer"/>, commits, disposes. A value, whose copies are one write; after it was disposed, disposing it again does nothing, and whatever else is asked of it
/// throws <see cref="ObjectDisposedException"/>. A write allocates nothing.
/// </summary>
public readonly struct ShardWrite : IDisposable
{
    private readonly WriteTarget _target;
    private readonly int _turn;

    /// <param name="target">Set up for this write alone.</param>
    internal ShardWrite(WriteTarget target) => (_target, _turn) = (target, target.Turn);

    public ShardInfo Shard => Target.Shard;

    /// <summary>Exactly <c>Shard.Size</c> bytes of stable native memory: the final place in the memory tier, or a staging block. Not to be touched after the commit.</summary>
    public Memory<byte> Buffer => Target.Buffer;

    private WriteTarget Target
    {
        get
        {
            _target.ThrowIfEnded(_turn, typeof(ShardWrite));
            return _target;
        }
    }

    /// <summary>
    /// Hashes the buffer, on the calling thread, and makes the shard visible. A shard that came by another way meanwhile is a success too.
    /// </summary>
    /// <exception cref="StoreException"><see cref="StoreError.WrongDigest"/>: nothing became visible; <see cref="StoreError.Full"/> or <see cref="StoreError.Io"/>: the disk failed.</exception>
    public ValueTask CommitAsync(CancellationToken cancellationToken) => Target.CommitAsync(cancellationToken);

    /// <summary>Gives the room back when it was not committed.</summary>
    public void Dispose() => _target?.End(_turn);
}
