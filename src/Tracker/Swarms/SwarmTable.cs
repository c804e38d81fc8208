using System.Collections.Immutable;
using P2PWeights.Store.Content;

namespace P2PWeights.Tracker.Swarms;

/// <summary>The swarms by manifest, and which of them share shards. Part of <see cref="SwarmState"/> and under its lock, but for <see cref="Compare"/>.</summary>
internal sealed class SwarmTable
{
    private readonly Dictionary<Digest, Swarm> _swarms = [];

    public int Count => _swarms.Count;

    public bool Contains(Digest manifest) => _swarms.ContainsKey(manifest);

    /// <summary>The swarm of a manifest; null when it has none.</summary>
    public Swarm? Find(Digest manifest) => _swarms.GetValueOrDefault(manifest);

    /// <summary>
    /// Makes a swarm, and gives those that it is to be compared with; null when there is one already. Of two swarms the later one is compared with the earlier one, so that every pair is, once.
    /// </summary>
    public (Swarm Added, Swarm[] Others)? TryAdd(Digest manifest, ImmutableArray<ShardInfo> shards, OrdinalTable ordinals, long now)
    {
        if (_swarms.ContainsKey(manifest))
        {
            return null;
        }

        var numbers = new int[shards.Length];
        for (var i = 0; i < numbers.Length; i++)
        {
            numbers[i] = ordinals.AddSwarm(shards[i].Digest);
        }

        var added = new Swarm(manifest, numbers) { LastUsed = now };
        Swarm[] others = [.. _swarms.Values];
        _swarms.Add(manifest, added);
        return (added, others);
    }

    /// <summary>Those of the swarms that share shards with one, and how many. Takes a while that grows with the number of swarms, and needs no lock: what it looks at never changes.</summary>
    public static IReadOnlyList<(Swarm Other, int Shared)> Compare(Swarm added, Swarm[] others) =>
        [.. others.Select(other => (Other: other, Shared: other.Mask.CountCommon(added.Mask))).Where(related => related.Shared > 0)];

    /// <summary>Takes note of swarms that share shards. Those that were forgotten meanwhile may have left their ordinals to others, and are passed over.</summary>
    public void Relate(Swarm added, IReadOnlyList<(Swarm Other, int Shared)> related)
    {
        foreach (var (other, shared) in related.Where(related => IsCurrent(added) && IsCurrent(related.Other)))
        {
            added.Relate(other, shared);
            other.Relate(added, shared);
        }
    }

    /// <summary>Forgets swarms that nobody is in and that were last used so long ago.</summary>
    public void ForgetUnused(long usedUntil, OrdinalTable ordinals)
    {
        foreach (var swarm in _swarms.Values.Where(swarm => swarm.Members.IsEmpty && swarm.LastUsed <= usedUntil).ToArray())
        {
            _swarms.Remove(swarm.Manifest);
            swarm.Related.ForEach(related => related.Swarm.Unrelate(swarm));
            swarm.Mask.ForEach(ordinals.RemoveSwarm);
        }
    }

    private bool IsCurrent(Swarm swarm) => Find(swarm.Manifest) == swarm;
}
