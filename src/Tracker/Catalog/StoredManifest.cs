using System.Collections.Immutable;
using P2PWeights.Store.Content;

namespace P2PWeights.Tracker.Catalog;

/// <summary>What the tracker needs to know of a manifest.</summary>
/// <param name="Shards">Its distinct shards, by ordinal.</param>
/// <param name="Bytes">Sum of file sizes.</param>
/// <param name="Files">Number of files.</param>
internal sealed record StoredManifest(ImmutableArray<ShardInfo> Shards, long Bytes, int Files);
