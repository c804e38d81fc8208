using P2PWeights.Store.Content;
using P2PWeights.Store.Disk;

namespace P2PWeights.Store.Writing;

/// <summary>A shard that is received into staging memory and committed to the disk tier.</summary>
/// <param name="staging">Rented for this write.</param>
/// <param name="reservation">Quota taken for this write.</param>
internal sealed class DiskWrite(ShardInfo shard, StagingSlot staging, StagingPool pool, DiskReservation reservation, DiskKeeper disk) : IWriteTarget
{
    public Memory<byte> Buffer { get; } = staging.GetMemory(shard.Size);

    public ValueTask CommitAsync(CancellationToken cancellationToken) => disk.StoreAsync(shard, Buffer, reservation, cancellationToken);

    public void Release(bool committed)
    {
        pool.Return(staging);
        reservation.Dispose();
    }
}
