using System.Collections.Immutable;
using P2PWeights.Store.Content;

namespace P2PWeights.Client.Updating;

/// <summary>The tensors that fill one slot at a time.</summary>
/// <param name="Index">Its number, from 0, in the order in which engines get them.</param>
/// <param name="Bytes">Bytes of the slot that are used.</param>
/// <param name="Tensors">In the order of their names.</param>
/// <param name="Runs">Where the bytes come from, in the order of their places in the slot; what lies between two runs is padding.</param>
internal sealed record Bucket(int Index, long Bytes, ImmutableArray<PlacedTensor> Tensors, ImmutableArray<SourceRun> Runs)
{
    /// <summary>Bytes of tensors, padding left out.</summary>
    public long TensorBytes => Runs.Sum(run => run.Length);

    /// <summary>The part of the bucket that one of several devices copies over its own link.</summary>
    /// <returns>First byte and length; the parts cover the bucket, in order, each a multiple of 256 but the last; the last ones may be empty.</returns>
    public (long Start, long Length) Slice(int devices, int device)
    {
        var part = SliceBytes(devices);
        var start = Math.Min(part * device, Bytes);
        return (start, Math.Min(part, Bytes - start));
    }

    /// <summary>Bytes of every slice but the last ones.</summary>
    public long SliceBytes(int devices) => BucketPlanner.Align((Bytes + devices - 1) / devices);
}

/// <summary>A tensor and its place.</summary>
/// <param name="Offset">First byte, from the start of the slot; a multiple of 256.</param>
internal readonly record struct PlacedTensor(TensorInfo Tensor, long Offset);

/// <summary>Bytes that follow each other both in a file and in a slot: one tensor, or several.</summary>
/// <param name="File">Index in <see cref="Manifest.Files"/>.</param>
/// <param name="FileOffset">First byte in the file.</param>
/// <param name="SlotOffset">First byte in the slot.</param>
/// <param name="Length">Bytes.</param>
internal readonly record struct SourceRun(int File, long FileOffset, long SlotOffset, long Length);
