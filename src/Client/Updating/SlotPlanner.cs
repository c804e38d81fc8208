using P2PWeights.Store.Content;

namespace P2PWeights.Client.Updating;

/// <summary>The slots of every device during an update.</summary>
/// <param name="SlotBytes">Bytes of one slot: a multiple of 256 for every device's slice.</param>
/// <param name="Count">Slots per device: 1 means that nothing overlaps.</param>
internal readonly record struct SlotLayout(long SlotBytes, int Count)
{
    /// <summary>Bytes of all slots of one device.</summary>
    public long TotalBytes => SlotBytes * Count;
}

/// <summary>Decides how many slots there are and how large, from what fits. Pure.</summary>
internal static class SlotPlanner
{
    /// <summary>
    /// A short update is mostly filling and draining of its pipeline, unless it has many small buckets; below this size the cost of a bucket is that of telling an engine.
    /// </summary>
    private const int WantedBuckets = 64;
    private const long SmallestUseful = 32L << 20;

    /// <param name="largest">Aligned bytes of the largest tensor, which a slot must hold whole.</param>
    /// <param name="total">Aligned bytes of all tensors.</param>
    /// <param name="devices">GPUs that share the work.</param>
    /// <param name="freeBytes">Free memory of the GPU that has least.</param>
    /// <exception cref="UpdateException">Not even the largest tensor fits.</exception>
    public static SlotLayout Choose(long largest, long total, int devices, long freeBytes, UpdatePlanOptions options)
    {
        var unit = (long)BucketPlanner.Alignment * devices;
        var least = RoundUp(Math.Max(largest, 1), unit);
        var wanted = Math.Max(least, RoundUp(Math.Min(options.SlotBytes, Math.Max(total / WantedBuckets, SmallestUseful)), unit));
        var usable = (long)(freeBytes * options.MemoryFraction);

        // Overlap is worth more than large slots: three smaller ones before two, two before one.
        for (var count = Math.Min(3, options.Slots); count >= 1; count--)
        {
            var size = Math.Min(wanted, usable / count / unit * unit);
            if (size >= least)
            {
                // No more slots than there are buckets, about.
                var enough = (int)Math.Min(options.Slots, (total + size - 1) / size);
                return new SlotLayout(size, (int)Math.Clamp(usable / size, 1, Math.Max(enough, 1)));
            }
        }

        throw new UpdateException(
            $"the largest tensor takes {ByteSize.Format(least)}, and of the {ByteSize.Format(freeBytes)} that are free on the device with least {options.MemoryFraction:P0} may be used: "
            + "free memory there (let the engine sleep, or give its cache less), or allow a larger part of it (--gpu-fraction)");
    }

    private static long RoundUp(long value, long unit) => (value + unit - 1) / unit * unit;
}
