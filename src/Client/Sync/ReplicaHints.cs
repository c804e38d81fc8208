using System.Collections.Concurrent;
using P2PWeights.Store.Content;
using P2PWeights.Tracker;

namespace P2PWeights.Client.Sync;

/// <summary>
/// What is known of the replicas that other nodes hold, kept for the store's eviction: the last known replica in the cluster goes last. Scarce shards are told seldom, so what
/// this node held when it was told counts: a shard that it got since came from another node. Thread-safe; a swarm's view is swapped whole.
/// </summary>
/// <param name="swarmsWith">The swarms that this node is in which have a shard, and its ordinal there.</param>
internal sealed class ReplicaHints(Func<Digest, IEnumerable<(Digest Manifest, int Ordinal)>> swarmsWith)
{
    private readonly ConcurrentDictionary<Digest, ReadOnlyMemory<byte>> _onlyHere = new();

    /// <param name="told">What the tracker knew of this node's shards of that swarm, as a bitmap over its ordinals.</param>
    public void Update(ScarceShards scarce, ReadOnlySpan<byte> told)
    {
        // The bitmap comes from outside and may be of any length: of shards that it leaves out nothing is known.
        var onlyHere = told.ToArray();
        for (var i = 0; i < Math.Min(onlyHere.Length, scarce.Shards.Length); i++)
        {
            onlyHere[i] &= scarce.Shards.Span[i];
        }

        _onlyHere[scarce.Manifest] = onlyHere;
    }

    /// <summary>This node has left the swarm.</summary>
    public void Forget(Digest manifest) => _onlyHere.TryRemove(manifest, out _);

    /// <summary>
    /// Whether another node holds a shard that this node holds, as far as known: in one of its swarms the shard is not known to be only here. False for shards of no swarm
    /// that this node is in.
    /// </summary>
    public bool IsElsewhere(Digest shard) =>
        swarmsWith(shard).Any(swarm => !_onlyHere.TryGetValue(swarm.Manifest, out var onlyHere)
            || swarm.Ordinal / 8 >= onlyHere.Length
            || (onlyHere.Span[swarm.Ordinal / 8] & (1 << (swarm.Ordinal % 8))) == 0);
}
