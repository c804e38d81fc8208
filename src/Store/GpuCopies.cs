namespace P2PWeights.Store;

/// <summary>What was given to GPUs to copy between themselves.</summary>
/// <param name="Copies">Copies begun: one per shard.</param>
/// <param name="Batches">Batches that they were given in.</param>
/// <param name="Busy">How long there was at least one batch that had not ended.</param>
public readonly record struct GpuCopies(long Copies, long Batches, TimeSpan Busy)
{
    public static GpuCopies operator +(in GpuCopies left, in GpuCopies right) => new(left.Copies + right.Copies, left.Batches + right.Batches, left.Busy + right.Busy);

    public static GpuCopies operator -(in GpuCopies left, in GpuCopies right) => new(left.Copies - right.Copies, left.Batches - right.Batches, left.Busy - right.Busy);
}
