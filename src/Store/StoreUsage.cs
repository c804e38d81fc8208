using P2PWeights.Store.Content;

namespace P2PWeights.Store;

/// <summary>State of one tier.</summary>
/// <param name="Tier">The tier.</param>
/// <param name="Shards">Replicas held.</param>
/// <param name="Bytes">Bytes they take, room lost to rounding included.</param>
/// <param name="QuotaBytes">Most bytes allowed; 0 for the reference tier, which has no quota.</param>
public readonly record struct TierUsage(Tiers Tier, long Shards, long Bytes, long QuotaBytes);

/// <summary>A snapshot of the store's contents.</summary>
public sealed record StoreUsage(IReadOnlyList<TierUsage> Tiers, int Leases, int Pinned);

/// <summary>What a scrub found so far.</summary>
/// <param name="Checked">Replicas hashed.</param>
/// <param name="Bytes">Bytes hashed.</param>
/// <param name="Wrong">Shards with a replica that was wrong and has been dropped, to be repaired from peers.</param>
public sealed record ScrubReport(long Checked, long Bytes, IReadOnlyList<(ShardInfo Shard, Tiers Tier, string Where)> Wrong);
