using System.Collections.Immutable;

namespace P2PWeights.Client.Engines;

/// <summary>One whole tensor that lies in the slot memory, as an engine is told of it.</summary>
/// <param name="Name">Name in the checkpoint.</param>
/// <param name="DType">As safetensors writes it, e.g. <c>BF16</c>; <see cref="EngineDType"/> knows those that engines take.</param>
/// <param name="Shape">Dimensions, outermost first; empty for a scalar.</param>
/// <param name="Offset">First byte, from the start of the slot memory (not of a slot); a multiple of the dtype's size, so 256 suits all.</param>
internal sealed record TensorRecord(string Name, string DType, ImmutableArray<long> Shape, long Offset);
