using System.Collections.Immutable;

namespace P2PWeights.Store.Content;

/// <summary>
/// Decides where a file is cut into shards. Depends on nothing but the file's bytes and the limit, so two publishers agree, and
/// a tensor that did not change between two versions keeps its shards wherever it moved.
/// </summary>
public static class CuttingPlanner
{
    /// <summary>A tensor of at least this many bytes starts a new shard.</summary>
    public const int LargeTensorBytes = 1 << 20;

    /// <summary>Cuts a safetensors file: header and runs of small tensors packed together, large tensors cut on their own.</summary>
    /// <returns>Lengths in bytes of the extents, in file order; they add up to <paramref name="fileSize"/>; none for an empty file.</returns>
    public static ImmutableArray<int> CutSafetensors(SafetensorsHeader header, long fileSize, int maxShardBytes) => throw new NotImplementedException();

    /// <summary>Cuts any other file every <paramref name="maxShardBytes"/>.</summary>
    public static ImmutableArray<int> CutPlain(long fileSize, int maxShardBytes) => throw new NotImplementedException();
}
