using System.Collections.Immutable;

namespace P2PWeights.Store.Content;

/// <summary>One file of a checkpoint.</summary>
/// <param name="Path">Relative, <c>/</c>-separated; see <see cref="ManifestPath"/> for what is refused.</param>
/// <param name="Size">Bytes.</param>
/// <param name="Shards">Ordinals in the manifest's shard table, in file order; each extent starts where the one before ends.</param>
public sealed record ManifestFile(string Path, long Size, ImmutableArray<int> Shards);
