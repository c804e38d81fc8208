using P2PWeights.Store.Content;
using P2PWeights.Store.Folders;
using P2PWeights.Store.References;

namespace P2PWeights.Store.Writing;

/// <summary>A shard that is received into staging memory and committed to its places in a checkpoint folder, from where it is served at once.</summary>
/// <param name="staging">Rented for this write.</param>
internal sealed class FolderWrite(ShardInfo shard, CheckpointFolder folder, StagingSlot staging, StagingPool pool, ReferenceTier references) : IWriteTarget
{
    public Memory<byte> Buffer { get; } = staging.GetMemory(shard.Size);

    public async ValueTask CommitAsync(CancellationToken cancellationToken)
    {
        var places = await folder.WriteShardAsync(shard, Buffer, cancellationToken).ConfigureAwait(false);
        await references.ReferenceUnfinishedAsync(shard, places, cancellationToken).ConfigureAwait(false);
    }

    public void Release(bool committed) => pool.Return(staging);
}
