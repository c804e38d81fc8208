namespace P2PWeights.Client;

/// <summary>What a scrub of a node found and mended.</summary>
/// <param name="Checked">Replicas hashed.</param>
/// <param name="Bytes">Bytes hashed.</param>
/// <param name="Wrong">One sentence per wrong replica: shard, tier, place.</param>
/// <param name="Repaired">Wrong shards fetched again from peers.</param>
/// <param name="Unrepaired">Wrong shards that no peer could give.</param>
public sealed record NodeScrubReport(long Checked, long Bytes, IReadOnlyList<string> Wrong, int Repaired, int Unrepaired);
