using P2PWeights.Store.Content;
using P2PWeights.Store.Index;

namespace P2PWeights.Store.Gpu;

/// <summary>Makes filled blocks of the gpu tier visible.</summary>
internal static class GpuPublishing
{
    /// <summary>Enters a filled block as the shard's, unless the tier has a replica that is as good on the same GPU, or better. From another GPU a proven one takes the shard over: the last to ask has it.</summary>
    /// <param name="unit">Held by the caller, whose hold becomes the index's when this is true.</param>
    /// <param name="isProven">Whether this process has hashed the bytes that were copied there.</param>
    public static bool TryPublish(ShardIndex index, GpuTier gpu, ShardInfo shard, int unit, bool isProven, TimeProvider time)
    {
        using var slot = index.Lock(shard.Digest);
        var record = slot.Record;
        var isNew = !record.Has(Tiers.Gpu);
        var isBetter = !isNew && isProven && (!record.IsProven(Tiers.Gpu) || gpu.PlaceOf(record.GpuUnit).Gpu != gpu.PlaceOf(unit).Gpu);
        if (isNew || isBetter)
        {
            gpu.Publish(unit, shard.Digest);
            if (isBetter)
            {
                gpu.Withdraw(record.GpuUnit);
            }

            record.Size = shard.Size;
            record.GpuUnit = unit;
            record.Tiers |= Tiers.Gpu;
            record.Proven = isProven ? record.Proven | Tiers.Gpu : record.Proven & ~Tiers.Gpu;
        }

        record.LastUse = time.GetUtcNow().Ticks;
        slot.Set(record);
        return isNew || isBetter;
    }
}
