using P2PWeights.Store;
using P2PWeights.Store.Content;
using P2PWeights.Store.Folders;

namespace P2PWeights.Transfer.Pulling;

/// <summary>How the copy of a shard from the store into a folder ended.</summary>
/// <param name="Found">Whether the store had it (still) and it was copied.</param>
/// <param name="Failure">Why the pull cannot go on, or null.</param>
internal readonly record struct HeldCopy(bool Found, Exception? Failure);

/// <summary>The shards of a pull that the store holds already, or will by another pull: copied into the pull's folder, a few at a time.</summary>
internal sealed class HeldShards(ShardStore store, CheckpointFolder? folder) : IDisposable
{
    private const int CopiesAtOnce = 4;

    private readonly SemaphoreSlim _turn = new(CopiesAtOnce);

    /// <summary>Shards that are waited for here. Owned by the pull's loop.</summary>
    public int Pending { get; private set; }

    public void Begin() => Pending++;

    public void End() => Pending--;

    public void Dispose() => _turn.Dispose();

    /// <summary>Copies one shard. Never throws: a cancellation is a copy that was not made.</summary>
    public async Task<HeldCopy> CopyAsync(ShardInfo shard, CancellationToken cancellationToken)
    {
        try
        {
            await _turn.WaitAsync(cancellationToken).ConfigureAwait(false);
            try
            {
                using var lease = await store.LeaseAsync(shard.Digest, cancellationToken).ConfigureAwait(false);
                if (lease is null)
                {
                    return default;
                }

                using var write = await store.BeginWriteAsync(shard, folder, cancellationToken).ConfigureAwait(false);
                await lease.ReadAsync(write.Buffer, cancellationToken).ConfigureAwait(false);
                await write.CommitAsync(cancellationToken).ConfigureAwait(false);
                return new HeldCopy(true, null);
            }
            finally
            {
                _turn.Release();
            }
        }
        catch (OperationCanceledException)
        {
            return default;
        }
        catch (StoreException e) when (e.Error == StoreError.WrongDigest)
        {
            // The replica went bad between the lease and the read; a source will have a good one.
            return default;
        }
        catch (StoreException e)
        {
            return new HeldCopy(false, e);
        }
    }
}
