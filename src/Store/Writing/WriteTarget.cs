using System.Runtime.CompilerServices;
using P2PWeights.Store.Content;
using P2PWeights.Store.Hashing;
using P2PWeights.Store.Reuse;

namespace P2PWeights.Store.Writing;

/// <summary>Where a shard on its way in is going, for one <see cref="ShardWrite"/> after the other. Nothing is stored that was not hashed here.</summary>
internal abstract class WriteTarget(StoreMetrics metrics) : Reused
{
    private Memory<byte> _buffer;
    private bool _isCommitted;

    public ShardInfo Shard { get; private set; }

    /// <summary>Native memory, as many bytes as the shard has.</summary>
    /// <exception cref="InvalidOperationException">The write was committed.</exception>
    public Memory<byte> Buffer => !_isCommitted ? _buffer : throw new InvalidOperationException("the room of this shard has been handed on");

    /// <summary>See <see cref="ShardWrite.CommitAsync"/>.</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    public async ValueTask CommitAsync(CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var actual = Blake3.Hash(Buffer.Span);
        if (actual != Shard.Digest)
        {
            throw new StoreException(
                StoreError.WrongDigest,
                $"shard {Shard.Digest} ({Shard.Size} bytes) was filled with bytes that hash to {actual}; nothing was kept, fetch it from another source",
                Shard.Digest);
        }

        await StoreAsync(_buffer, cancellationToken).ConfigureAwait(false);
        _isCommitted = true;
        metrics.Committed(Shard.Size);
    }

    /// <summary>Ends a write, once.</summary>
    public void End(int turn)
    {
        if (TryEndTurn(turn))
        {
            GiveBack();
        }
    }

    /// <summary>A new write.</summary>
    protected void Begin(ShardInfo shard, Memory<byte> buffer) => (Shard, _buffer, _isCommitted) = (shard, buffer, false);

    /// <summary>Makes the shard visible. When it throws, nothing has become visible.</summary>
    /// <param name="bytes">Its bytes, right ones.</param>
    protected abstract ValueTask StoreAsync(Memory<byte> bytes, CancellationToken cancellationToken);

    /// <summary>Called once at the end of each write: gives back what was not handed on, and this for the next one.</summary>
    protected abstract void GiveBack();
}
