namespace P2PWeights.Native.Verbs;

/// <summary>Cuts a range that is larger than a device's largest region.</summary>
public static class RegionSplit
{
    /// <summary>The fewest parts of equal size, but the last, none larger than the device allows.</summary>
    /// <param name="length">Bytes of the range.</param>
    /// <param name="maxRegionBytes"><see cref="DeviceAttributes.MaxRegionBytes"/>.</param>
    /// <param name="alignment">
    /// Every cut is a multiple of it from the start, so that what lies aligned inside the range, a shard's block for instance, is whole in one part.
    /// </param>
    /// <returns>Offset and length of each part, in order, covering the range; empty when the device's regions are smaller than the alignment.</returns>
    public static IReadOnlyList<(long Offset, long Length)> Plan(long length, ulong maxRegionBytes, long alignment)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(length);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(alignment);
        if ((ulong)length <= maxRegionBytes)
            return [(0, length)];

        // Here the limit is below length, so it is a long.
        var limit = (long)maxRegionBytes / alignment * alignment;
        if (limit == 0)
            return [];
        var count = DivideUp(length, limit);
        var size = DivideUp(DivideUp(length, count), alignment) * alignment;
        List<(long, long)> parts = [];
        for (long offset = 0; offset < length; offset += size)
            parts.Add((offset, Math.Min(size, length - offset)));
        return parts;
    }

    private static long DivideUp(long value, long by) => (value - 1) / by + 1;
}
