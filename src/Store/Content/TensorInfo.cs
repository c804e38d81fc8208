using System.Collections.Immutable;

namespace P2PWeights.Store.Content;

/// <summary>One tensor of a checkpoint, as its safetensors file declares it.</summary>
/// <param name="Name">Name, unique within the file.</param>
/// <param name="DType">The declared dtype, e.g. <c>BF16</c>; carried through untouched when unknown.</param>
/// <param name="Shape">Dimensions, outermost first; empty for a scalar.</param>
/// <param name="File">Index in <see cref="Manifest.Files"/>.</param>
/// <param name="Offset">First byte, from the start of the file.</param>
/// <param name="Length">Bytes.</param>
public sealed record TensorInfo(string Name, string DType, ImmutableArray<long> Shape, int File, long Offset, long Length);
