using P2PWeights.Store;
using P2PWeights.Store.Content;

namespace P2PWeights.Transfer.Pulling;

/// <summary>How the copy of a shard inside the store to where a pull wants it ended.</summary>
/// <param name="Found">Whether the store had it (still) and it was copied.</param>
/// <param name="Failure">Why the pull cannot go on, or null.</param>
internal readonly record struct HeldCopy(bool Found, Exception? Failure);

/// <summary>
/// The shards of a pull that the store holds already, or will by another pull: copied to where the pull wants them, a few at a time. The queue belongs to the
/// pull's loop.
/// </summary>
internal sealed class HeldShards(ShardStore store, ShardTarget target)
{
    private const int CopiesAtOnce = 4;

    private readonly Queue<int> _queue = new();
    private readonly HashSet<int> _useless = [];
    private int _copying;
    private int _awaited;

    /// <summary>Shards that are waited for here.</summary>
    public int Pending => Copies + Awaited;

    /// <summary>Shards being copied, or waiting for that.</summary>
    public int Copies => _queue.Count + _copying;

    /// <summary>Shards that another pull brings.</summary>
    public int Awaited => _awaited;

    /// <summary>Whether a copy was tried and gave nothing: the replica is bad or gone, and only a source can help.</summary>
    public bool IsUseless(int ordinal) => _useless.Contains(ordinal);

    /// <summary>Another pull brings a shard.</summary>
    public void BeginAwait() => _awaited++;

    public void EndAwait() => _awaited--;

    /// <summary>A shard is to be copied.</summary>
    public void Enqueue(int ordinal) => _queue.Enqueue(ordinal);

    /// <summary>The next shard to copy now, until <see cref="EndCopy"/>; null when enough are under way.</summary>
    public int? BeginCopy()
    {
        if (_copying == CopiesAtOnce || !_queue.TryDequeue(out var ordinal))
        {
            return null;
        }

        _copying++;
        return ordinal;
    }

    public void EndCopy(int ordinal, HeldCopy copy)
    {
        _copying--;
        if (!copy.Found)
        {
            _useless.Add(ordinal);
        }
    }

    /// <summary>Whether a shard that the store holds is where the pull wants it.</summary>
    public bool IsInPlace(ShardInfo shard) => target.Folder is null && (target.Gpu is null || store.GpuOf(shard.Digest) == target.Gpu);

    /// <summary>Copies one shard. A cancellation is a copy that was not made.</summary>
    public async Task<HeldCopy> CopyAsync(ShardInfo shard, CancellationToken cancellationToken)
    {
        try
        {
            using var write = await store.BeginWriteAsync(shard, target, cancellationToken).ConfigureAwait(false);
            if (!await TryReadAsync(shard, write.Buffer, cancellationToken).ConfigureAwait(false))
            {
                return default;
            }

            await write.CommitAsync(cancellationToken).ConfigureAwait(false);
            return new HeldCopy(true, null);
        }
        catch (OperationCanceledException)
        {
            return default;
        }
        catch (StoreException e) when (e.Error == StoreError.WrongDigest)
        {
            // The replica is bad; a source will have a good one.
            return default;
        }
        catch (StoreException e)
        {
            return new HeldCopy(false, e);
        }
    }

    private async ValueTask<bool> TryReadAsync(ShardInfo shard, Memory<byte> destination, CancellationToken cancellationToken)
    {
        try
        {
            // From one GPU to another it needs no room in the memory tier.
            var isOnGpuAlone = target.Gpu is not null && store.Locate(shard.Digest) == Tiers.Gpu;
            var leasing = isOnGpuAlone ? store.LeaseInGpuAsync(shard.Digest, cancellationToken) : store.LeaseAsync(shard.Digest, cancellationToken);
            if (await leasing.ConfigureAwait(false) is not { } lease)
            {
                return false;
            }

            using (lease)
            {
                await lease.ReadAsync(destination, cancellationToken).ConfigureAwait(false);
                return true;
            }
        }
        catch (StoreException)
        {
            // The replica cannot be read, which says nothing of the target: the shard comes from a source.
            return false;
        }
    }
}
