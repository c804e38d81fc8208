using System.Runtime.CompilerServices;
using P2PWeights.Store.Content;
using P2PWeights.Store.Folders;
using P2PWeights.Store.References;
using P2PWeights.Store.Reuse;

namespace P2PWeights.Store.Writing;

/// <summary>Shards that are received into staging memory and committed to their places in a checkpoint folder, from where they are served at once.</summary>
internal sealed class FolderWrite(SparePool<FolderWrite> spare, StagingPool pool, ReferenceTier references, StoreMetrics metrics) : WriteTarget(metrics)
{
    private CheckpointFolder _folder = null!;
    private StagingSlot _staging = null!;

    /// <param name="staging">Rented for this write.</param>
    public ShardWrite Begin(ShardInfo shard, CheckpointFolder folder, StagingSlot staging)
    {
        (_folder, _staging) = (folder, staging);
        Begin(shard, staging.GetMemory(shard.Size));
        return new ShardWrite(this);
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    protected override async ValueTask StoreAsync(Memory<byte> bytes, CancellationToken cancellationToken)
    {
        var places = await _folder.WriteShardAsync(Shard, bytes, cancellationToken).ConfigureAwait(false);
        await references.ReferenceUnfinishedAsync(Shard, places, cancellationToken).ConfigureAwait(false);
    }

    protected override void GiveBack()
    {
        pool.Return(_staging);
        spare.Return(this);
    }
}
