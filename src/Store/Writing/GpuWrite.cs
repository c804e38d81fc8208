using System.Runtime.CompilerServices;
using P2PWeights.Store.Content;
using P2PWeights.Store.Gpu;
using P2PWeights.Store.Index;
using P2PWeights.Store.Reuse;

namespace P2PWeights.Store.Writing;

/// <summary>Shards that are received into staging memory, hashed there and copied to a GPU.</summary>
internal sealed class GpuWrite(SparePool<GpuWrite> spare, StagingPool pool, GpuTier gpu, ShardIndex index, StoreMetrics metrics, TimeProvider time) : WriteTarget(metrics)
{
    private StagingSlot _staging = null!;
    private int _unit;
    private bool _isPublished;
    private bool _isStalled;

    /// <param name="staging">Rented for this write.</param>
    /// <param name="unit">A block held for this write.</param>
    public ShardWrite Begin(ShardInfo shard, StagingSlot staging, int unit)
    {
        (_staging, _unit, _isPublished, _isStalled) = (staging, unit, false, false);
        Begin(shard, staging.GetMemory(shard.Size));
        return new ShardWrite(this);
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    protected override async ValueTask StoreAsync(Memory<byte> bytes, CancellationToken cancellationToken)
    {
        var place = gpu.PlaceOf(_unit);
        try
        {
            // Whoever cancels waits for the copy: its bytes must stay.
            await place.Arena.CopyInAsync(bytes, place.Offset).ConfigureAwait(false);
        }
        catch (IOException failure)
        {
            _isStalled = failure is StalledDeviceException;
            throw StoreFailure.Of(failure, $"copying shard {Shard.Digest.ToShortString()} to {place.Arena.Device}", Shard.Digest);
        }

        _isPublished = GpuPublishing.TryPublish(index, gpu, Shard, _unit, isProven: true, time);
    }

    protected override void GiveBack()
    {
        if (_isStalled)
        {
            // The device may still copy: both sides stay as they are, and the block stays held.
            pool.Abandon(_staging);
            gpu.GiveUp(_unit, Shard.Size);
        }
        else
        {
            if (!_isPublished)
            {
                gpu.Release(_unit);
            }

            pool.Return(_staging);
        }

        spare.Return(this);
    }
}
