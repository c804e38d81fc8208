using System.Collections.Immutable;
using P2PWeights.Client.Engines;
using P2PWeights.Store.Content;

namespace P2PWeights.Client.Updating;

/// <summary>
/// From tensors to buckets. Pure. Buckets follow the order of the layers, as engines that reload layer by layer need it; inside a bucket tensors lie in the order of their
/// files, so that what is contiguous there stays so and is copied at once, however small.
/// </summary>
internal static class BucketPlanner
{
    /// <summary>Every tensor starts on a multiple of it, in bytes: enough for any dtype and for copies at full speed.</summary>
    public const int Alignment = 256;

    /// <param name="tensors">The tensors of a checkpoint.</param>
    /// <param name="files">Paths of its files, for messages.</param>
    /// <param name="devices">GPUs that share the work.</param>
    /// <param name="freeBytes">Free memory of the GPU that has least.</param>
    /// <exception cref="UpdateException">There is nothing to bring, a name stands for two tensors, engines do not know a dtype, or memory is too short.</exception>
    public static UpdatePlan Plan(IReadOnlyList<TensorInfo> tensors, IReadOnlyList<string> files, int devices, long freeBytes, UpdatePlanOptions options)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(devices);
        if (tensors.Count == 0)
        {
            throw new UpdateException("the checkpoint has no tensors: only safetensors files can be brought into an engine");
        }

        var ordered = tensors.OrderBy(tensor => tensor.Name, TensorNameOrder.Instance).ToArray();
        Check(ordered, files);
        var slots = SlotPlanner.Choose(ordered.Max(AlignedLength), ordered.Sum(AlignedLength), devices, freeBytes, options);
        var buckets = ImmutableArray.CreateBuilder<Bucket>();
        var first = 0;
        var bytes = 0L;
        for (var next = 0; next < ordered.Length; next++)
        {
            var length = AlignedLength(ordered[next]);
            if (bytes + length > slots.SlotBytes)
            {
                buckets.Add(Fill(buckets.Count, ordered.AsSpan(first, next - first)));
                (first, bytes) = (next, 0);
            }

            bytes += length;
        }

        buckets.Add(Fill(buckets.Count, ordered.AsSpan(first)));
        return new UpdatePlan(slots, buckets.ToImmutable());
    }

    public static long Align(long bytes) => (bytes + Alignment - 1) / Alignment * Alignment;

    private static long AlignedLength(TensorInfo tensor) => Align(tensor.Length);

    private static void Check(TensorInfo[] ordered, IReadOnlyList<string> files)
    {
        for (var i = 0; i < ordered.Length; i++)
        {
            var tensor = ordered[i];
            if (i > 0 && ordered[i - 1].Name == tensor.Name)
            {
                throw new UpdateException(
                    $"tensor {tensor.Name} is both in {files[ordered[i - 1].File]} and in {files[tensor.File]}, and an engine takes one: publish the checkpoint without one of the two");
            }

            if (EngineDType.TorchName(tensor.DType) is null)
            {
                throw new UpdateException($"tensor {tensor.Name} in {files[tensor.File]} has the dtype {tensor.DType}, which engines cannot be told of");
            }
        }
    }

    private static Bucket Fill(int index, ReadOnlySpan<TensorInfo> tensors)
    {
        // Places in the order of the files, records in the order of the names.
        var inFiles = new int[tensors.Length];
        for (var i = 0; i < inFiles.Length; i++)
        {
            inFiles[i] = i;
        }

        var all = tensors.ToArray();
        Array.Sort(inFiles, (left, right) => (all[left].File, all[left].Offset).CompareTo((all[right].File, all[right].Offset)));
        var placed = new PlacedTensor[all.Length];
        var runs = ImmutableArray.CreateBuilder<SourceRun>();
        var offset = 0L;
        foreach (var i in inFiles)
        {
            placed[i] = new PlacedTensor(all[i], offset);
            Append(runs, all[i], offset);
            offset += AlignedLength(all[i]);
        }

        return new Bucket(index, offset, ImmutableArray.Create(placed), runs.ToImmutable());
    }

    private static void Append(ImmutableArray<SourceRun>.Builder runs, TensorInfo tensor, long slotOffset)
    {
        if (runs.Count > 0 && runs[^1] is var last && last.File == tensor.File
            && last.FileOffset + last.Length == tensor.Offset && last.SlotOffset + last.Length == slotOffset)
        {
            runs[^1] = last with { Length = last.Length + tensor.Length };
        }
        else if (tensor.Length > 0)
        {
            runs.Add(new SourceRun(tensor.File, tensor.Offset, slotOffset, tensor.Length));
        }
    }
}
