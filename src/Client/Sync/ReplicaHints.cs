using System.Collections.Concurrent;
using P2PWeights.Store.Content;
using P2PWeights.Tracker;

namespace P2PWeights.Client.Sync;

/// <summary>
/// What the last syncs told of which shards only one live peer holds, kept for the store's eviction: the last known replica in the cluster goes last.
/// Thread-safe; a swarm's view is swapped whole.
/// </summary>
/// <param name="ordinalOf">Takes a manifest and a shard, gives the shard's ordinal; -1 when the manifest does not have it, or its swarm is none of this node's.</param>
internal sealed class ReplicaHints(Func<Digest, Digest, int> ordinalOf)
{
    private readonly ConcurrentDictionary<Digest, ReadOnlyMemory<byte>> _scarce = new();

    public void Update(ScarceShards scarce) => _scarce[scarce.Manifest] = scarce.Shards;

    /// <summary>Whether another peer holds a shard that this node holds, as far as known; false for shards of no known swarm.</summary>
    public bool IsElsewhere(Digest shard)
    {
        foreach (var (manifest, scarce) in _scarce)
        {
            // The bitmap comes from outside: it may be too short.
            var ordinal = ordinalOf(manifest, shard);
            if (ordinal >= 0 && ordinal / 8 < scarce.Length && (scarce.Span[ordinal / 8] & (1 << (ordinal % 8))) == 0)
            {
                return true;
            }
        }

        return false;
    }
}
