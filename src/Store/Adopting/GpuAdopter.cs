using P2PWeights.Store.Content;
using P2PWeights.Store.Eviction;
using P2PWeights.Store.Gpu;
using P2PWeights.Store.Index;

namespace P2PWeights.Store.Adopting;

/// <summary>
/// Takes shards from the GPUs of another node on this host into the gpu tier, by the devices alone. What is taken is unproven: to read it back and hash it takes several times as long as
/// the copy, so that is left to the first reader.
/// </summary>
internal sealed class GpuAdopter(ShardIndex index, GpuTier gpu, Evictor evictor, TimeProvider time)
{
    /// <summary>See <see cref="ShardStore.AdoptAsync(ShardInfo, ForeignGpus, int, long, int, Func{bool}, CancellationToken)"/>.</summary>
    public async ValueTask<bool> AdoptAsync(
        ShardInfo shard, ForeignGpus source, int sourceGpu, long offset, int target, Func<bool> isPromised, CancellationToken cancellationToken)
    {
        if (GpuOf(shard.Digest) is { } holder)
        {
            // From one GPU of this node to another it goes proven, through the host.
            return holder == target;
        }

        var foreign = await source.OpenAsync(sourceGpu).ConfigureAwait(false);
        var unit = await evictor.AllocateGpuAsync(target, shard.Size, cancellationToken).ConfigureAwait(false) ?? throw gpu.Full(shard, target);
        var isKept = false;
        try
        {
            var place = gpu.PlaceOf(unit);
            if (!foreign.CanCopyTo(place.Arena))
            {
                return false;
            }

            // Whoever cancels waits for the copy: until it has ended the block must stay.
            await foreign.CopyToAsync(offset, place.Arena, place.Offset, shard.Size).ConfigureAwait(false);
            if (!isPromised() || !source.IsUnchanged)
            {
                return false;
            }

            isKept = GpuPublishing.TryPublish(index, gpu, shard, unit, isProven: false, time);
            return isKept || GpuOf(shard.Digest) == target;
        }
        catch (StalledDeviceException)
        {
            // The device may still write to the block, which therefore stays held.
            isKept = true;
            gpu.GiveUp(unit, shard.Size);
            throw;
        }
        finally
        {
            if (!isKept)
            {
                gpu.Release(unit);
            }
        }
    }

    private int? GpuOf(Digest digest) => index.Find(digest) is var record && record.Has(Tiers.Gpu) ? gpu.PlaceOf(record.GpuUnit).Gpu : null;
}
