using System.Collections.Concurrent;
using System.Collections.Frozen;
using P2PWeights.Store.Content;

namespace P2PWeights.Client.Sync;

/// <summary>
/// What the last syncs told of how many live replicas each shard has, kept for the store's eviction: the last known replica in the cluster goes last.
/// Thread-safe; a swarm's view is swapped whole.
/// </summary>
internal sealed class ReplicaHints
{
    private readonly ConcurrentDictionary<Digest, SwarmRarity> _swarms = new();

    /// <summary>Takes the view of one swarm. A rarity list that does not fit the manifest is ignored: it comes from outside.</summary>
    public void Update(Manifest manifest, ReadOnlyMemory<byte> rarity)
    {
        if (rarity.Length != manifest.Shards.Length)
        {
            return;
        }

        _swarms.AddOrUpdate(
            manifest.Digest,
            _ => new SwarmRarity(OrdinalsOf(manifest), rarity),
            (_, known) => known with { Rarity = rarity });
    }

    /// <summary>Live replicas, this node's own included; 0 for shards of no known swarm.</summary>
    public int Replicas(Digest shard)
    {
        var most = 0;
        foreach (var swarm in _swarms.Values)
        {
            if (swarm.Ordinals.TryGetValue(shard, out var ordinal))
            {
                most = Math.Max(most, swarm.Rarity.Span[ordinal]);
            }
        }

        return most;
    }

    private static FrozenDictionary<Digest, int> OrdinalsOf(Manifest manifest) =>
        manifest.Shards.Select((shard, ordinal) => KeyValuePair.Create(shard.Digest, ordinal)).ToFrozenDictionary();

    private sealed record SwarmRarity(FrozenDictionary<Digest, int> Ordinals, ReadOnlyMemory<byte> Rarity);
}
