using P2PWeights.Store.Content;
using P2PWeights.Store.Hashing;
using P2PWeights.Store.Writing;

namespace P2PWeights.Store;

/// <summary>Room for one shard on its way in. One owner fills <see cref="Buffer"/>, commits, disposes.</summary>
public sealed class ShardWrite : IDisposable
{
    private readonly IWriteTarget _target;
    private readonly StoreMetrics _metrics;
    private State _state;

    internal ShardWrite(ShardInfo shard, StoreMetrics metrics, IWriteTarget target) => (Shard, _metrics, _target) = (shard, metrics, target);

    private enum State
    {
        Filling,
        Committed,
        Disposed,
    }

    public ShardInfo Shard { get; }

    /// <summary>Exactly <c>Shard.Size</c> bytes of stable native memory: the final place in the memory tier, or a staging block. Not to be touched after the commit.</summary>
    public Memory<byte> Buffer => _state == State.Filling
        ? _target.Buffer
        : throw new InvalidOperationException("the room of this shard has been handed on or given back");

    /// <summary>
    /// Hashes the buffer, on the calling thread, and makes the shard visible. A shard that came by another way meanwhile is a success too.
    /// </summary>
    /// <exception cref="StoreException"><see cref="StoreError.WrongDigest"/>: nothing became visible; <see cref="StoreError.Full"/> or <see cref="StoreError.Io"/>: the disk failed.</exception>
    public async ValueTask CommitAsync(CancellationToken cancellationToken)
    {
        if (_state != State.Filling)
        {
            throw new InvalidOperationException("a shard is committed once, before it is disposed");
        }

        cancellationToken.ThrowIfCancellationRequested();
        var actual = Blake3.Hash(_target.Buffer.Span);
        if (actual != Shard.Digest)
        {
            throw new StoreException(
                StoreError.WrongDigest,
                $"shard {Shard.Digest} ({Shard.Size} bytes) was filled with bytes that hash to {actual}; nothing was kept, fetch it from another source",
                Shard.Digest);
        }

        await _target.CommitAsync(cancellationToken).ConfigureAwait(false);
        _state = State.Committed;
        _metrics.Committed(Shard.Size);
    }

    /// <summary>Gives the room back when it was not committed.</summary>
    public void Dispose()
    {
        if (_state != State.Disposed)
        {
            _target.Release(committed: _state == State.Committed);
            _state = State.Disposed;
        }
    }
}
