using System.Collections.Immutable;

namespace P2PWeights.Client.Updating;

/// <summary>How a checkpoint gets into engines: which tensors together, in which order, in slots of which size.</summary>
internal sealed record UpdatePlan(SlotLayout Slots, ImmutableArray<Bucket> Buckets)
{
    /// <summary>Bytes of all tensors.</summary>
    public long TensorBytes { get; } = Buckets.Sum(bucket => bucket.TensorBytes);

    /// <summary>Tensors.</summary>
    public int Tensors { get; } = Buckets.Sum(bucket => bucket.Tensors.Length);
}
