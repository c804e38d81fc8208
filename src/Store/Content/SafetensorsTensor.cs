using System.Collections.Immutable;

namespace P2PWeights.Store.Content;

/// <summary>A tensor as a safetensors header declares it.</summary>
/// <param name="Name">Name, unique within the file.</param>
/// <param name="DType">Declared dtype, carried through untouched.</param>
/// <param name="Shape">Dimensions, outermost first.</param>
/// <param name="Offset">First byte, from the start of the file (not of the data section).</param>
/// <param name="Length">Bytes.</param>
public sealed record SafetensorsTensor(string Name, string DType, ImmutableArray<long> Shape, long Offset, long Length);
