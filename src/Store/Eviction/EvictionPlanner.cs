using P2PWeights.Store.Content;

namespace P2PWeights.Store.Eviction;

/// <summary>A replica that might go.</summary>
/// <param name="Bytes">Room that its going would give.</param>
/// <param name="LastUse">UTC ticks of its last use.</param>
/// <param name="Kept">Pinned or leased: must stay.</param>
/// <param name="OtherReplicas">Replicas of the shard elsewhere, as far as known: in other tiers and on other nodes.</param>
internal readonly record struct EvictionCandidate(Digest Digest, long Bytes, long LastUse, bool Kept, int OtherReplicas);

/// <summary>Decides which replicas of one tier go when it needs room. Pure: the same candidates give the same plan.</summary>
internal static class EvictionPlanner
{
    /// <summary>
    /// Victims in the order they should go, until at least <paramref name="bytesToFree"/> are free; all that may go when they are not enough.
    /// Kept ones never go; a shard's last known replica goes after all others; within each group the least recently used goes first.
    /// </summary>
    public static List<EvictionCandidate> Plan(IEnumerable<EvictionCandidate> candidates, long bytesToFree)
    {
        var victims = new List<EvictionCandidate>();
        foreach (var candidate in candidates
            .Where(candidate => !candidate.Kept)
            .OrderBy(candidate => candidate.OtherReplicas == 0)
            .ThenBy(candidate => candidate.LastUse)
            .ThenBy(candidate => candidate.Digest))
        {
            if (bytesToFree <= 0)
            {
                break;
            }

            victims.Add(candidate);
            bytesToFree -= candidate.Bytes;
        }

        return victims;
    }

    /// <summary>How much to free so that a shard fits and the tier is down to its low watermark, so that the next shards find room without a plan of their own.</summary>
    public static long BytesToFree(long used, long quota, long needed, double lowWatermark) =>
        Math.Max(needed, used + needed - (long)(quota * lowWatermark));
}
