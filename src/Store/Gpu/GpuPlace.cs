namespace P2PWeights.Store.Gpu;

/// <summary>Where a block of the gpu tier lies.</summary>
/// <param name="Gpu">A place in <see cref="ShardStore.Gpus"/>.</param>
/// <param name="Offset">Where the block starts in the arena.</param>
internal readonly record struct GpuPlace(int Gpu, IGpuArena Arena, long Offset);
