using System.Collections.Immutable;
using P2PWeights.Store.Content;
using P2PWeights.Tracker;

namespace P2PWeights.Client.Sync;

/// <summary>
/// What the tracker was told of the swarms that this node is in, so that the next sync says no more than what changed. Swarms whose manifests the tracker does not have
/// are not told again until there is a reason to think that it has them now. Owned by the sync loop.
/// </summary>
internal sealed class SwarmLedger
{
    private readonly Dictionary<Digest, ReadOnlyMemory<byte>> _told = [];
    private readonly HashSet<Digest> _unknown = [];

    /// <summary>Swarms that the tracker was told of and knows.</summary>
    public IReadOnlyCollection<Digest> Told => _told.Keys;

    /// <summary>What the tracker was told is held of a swarm, as a bitmap over its ordinals; empty for one that it was not told of.</summary>
    public ReadOnlyMemory<byte> ToldOf(Digest manifest) => _told.GetValueOrDefault(manifest);

    /// <summary>The tracker knows nothing of this node any more: everything is told from the start.</summary>
    public void Clear()
    {
        _told.Clear();
        _unknown.Clear();
    }

    /// <summary>The tracker may have got the manifest.</summary>
    public void Offer(Digest manifest) => _unknown.Remove(manifest);

    /// <summary>The tracker may have got any manifest.</summary>
    public void OfferAll() => _unknown.Clear();

    /// <summary>What the next sync has to say, given what the node holds now of the swarms that it is in.</summary>
    public (ImmutableArray<SwarmHoldings> Swarms, ImmutableArray<Digest> Left) Changes(IReadOnlyCollection<SwarmHoldings> joined)
    {
        var changed = joined.Where(swarm => !_unknown.Contains(swarm.Manifest) && !(_told.TryGetValue(swarm.Manifest, out var told) && told.Span.SequenceEqual(swarm.Held.Span)));
        var left = _told.Keys.Except(joined.Select(swarm => swarm.Manifest));
        return ([.. changed], [.. left]);
    }

    /// <summary>The tracker took a sync.</summary>
    /// <param name="unknown">Those of the swarms that it did not take.</param>
    public void Took(SyncRequest request, ImmutableArray<Digest> unknown)
    {
        foreach (var manifest in request.Left)
        {
            _told.Remove(manifest);
        }

        foreach (var (manifest, held) in request.Swarms)
        {
            _told[manifest] = held;
        }

        foreach (var manifest in unknown)
        {
            _told.Remove(manifest);
            _unknown.Add(manifest);
        }
    }
}
