using P2PWeights.Store.Content;
using P2PWeights.Store.Disk;
using P2PWeights.Store.Reuse;

namespace P2PWeights.Store.Writing;

/// <summary>Shards that are received into staging memory and committed to the disk tier.</summary>
internal sealed class DiskWrite(SparePool<DiskWrite> spare, StagingPool pool, DiskKeeper disk, StoreMetrics metrics) : WriteTarget(metrics)
{
    private StagingSlot _staging = null!;
    private DiskReservation _reservation = null!;

    /// <param name="staging">Rented for this write.</param>
    /// <param name="reservation">Quota taken for this write.</param>
    public ShardWrite Begin(ShardInfo shard, StagingSlot staging, DiskReservation reservation)
    {
        (_staging, _reservation) = (staging, reservation);
        Begin(shard, staging.GetMemory(shard.Size));
        return new ShardWrite(this);
    }

    protected override ValueTask StoreAsync(Memory<byte> bytes, CancellationToken cancellationToken) => disk.StoreAsync(Shard, bytes, _reservation, cancellationToken);

    protected override void GiveBack()
    {
        pool.Return(_staging);
        _reservation.Dispose();
        spare.Return(this);
    }
}
