using System.Runtime.InteropServices;

namespace P2PWeights.Tracker.Swarms;

/// <summary>
/// Draws the candidates from which <see cref="NeighbourPlanner"/> chooses: some members of the swarm at random, some peers of the same host, rack and rail, and some members of
/// swarms that share shards. As many as the swarm is small, and a bounded number however large it is. Part of <see cref="SwarmState"/> and under its lock.
/// </summary>
internal sealed class Neighbourhoods(int neighbours, Random random)
{
    /// <summary>Members looked at: among so many the planner finds good ones, and every member is looked at by as many others.</summary>
    private const int SampledMembers = 64;

    /// <summary>Peers looked at of each group: host, rack, rail. Few enough that those drawn at random among all candidates are mostly from elsewhere.</summary>
    private const int SampledNear = 8;

    /// <summary>Swarms that share shards, and members looked at of each.</summary>
    private const int SampledRelated = 4;
    private const int SampledOfRelated = 8;

    private readonly Dictionary<(Label Label, string Value), List<TrackedState>> _groups = [];
    private readonly List<NeighbourCandidate> _candidates = [];
    private readonly List<TrackedState> _drawn = [];
    private long _drawing;

    private enum Label
    {
        Host,
        Rack,
        Rail,
    }

    public void Enter(TrackedState peer)
    {
        foreach (var key in KeysOf(peer.Place))
        {
            if (!_groups.TryGetValue(key, out var group))
            {
                _groups.Add(key, group = []);
            }

            group.Add(peer);
        }
    }

    /// <param name="place">Where the peer stood when it entered.</param>
    public void Leave(TrackedState peer, PeerPlace place)
    {
        foreach (var key in KeysOf(place))
        {
            var group = _groups[key];
            group[group.IndexOf(peer)] = group[^1];
            group.RemoveAt(group.Count - 1);
            if (group.Count == 0)
            {
                _groups.Remove(key);
            }
        }
    }

    /// <summary>The peers that a member should talk to, from those it talks to and others.</summary>
    public List<TrackedState> Choose(Member asking)
    {
        _drawing++;
        _candidates.Clear();
        _drawn.Clear();
        asking.Peer.Drawn = _drawing;
        foreach (var known in asking.Neighbours?.Peers ?? [])
        {
            Offer(asking, known);
        }

        DrawMembers(asking, asking.Swarm, SampledMembers);
        foreach (var key in KeysOf(asking.Peer.Place))
        {
            if (_groups.TryGetValue(key, out var group))
            {
                Draw(CollectionsMarshal.AsSpan(group), SampledNear, asking, static peer => peer);
            }
        }

        foreach (var (related, _) in asking.Swarm.Related.Take(SampledRelated))
        {
            DrawMembers(asking, related, SampledOfRelated);
        }

        var chosen = new List<TrackedState>(neighbours);
        foreach (var index in NeighbourPlanner.Choose(CollectionsMarshal.AsSpan(_candidates), neighbours, random))
        {
            chosen.Add(_drawn[index]);
        }

        return chosen;
    }

    private void DrawMembers(Member asking, Swarm swarm, int count) => Draw(swarm.Members, count, asking, static member => member.Peer);

    /// <summary>All when they are few, else so many at random; the same may be drawn twice, and counts once.</summary>
    private void Draw<T>(ReadOnlySpan<T> from, int count, Member asking, Func<T, TrackedState> peerOf)
    {
        var all = from.Length <= count;
        for (var i = 0; i < Math.Min(count, from.Length); i++)
        {
            Offer(asking, peerOf(from[all ? i : random.Next(from.Length)]));
        }
    }

    /// <summary>A peer is a candidate when it is in the swarm, or holds some of its shards from another one.</summary>
    private void Offer(Member asking, TrackedState peer)
    {
        if (peer.IsGone || peer.Drawn == _drawing)
        {
            return;
        }

        peer.Drawn = _drawing;
        var member = peer.In(asking.Swarm);
        var held = member?.Held ?? peer.Held.CountCommon(asking.Swarm.Mask);
        if (member is not null || held > 0)
        {
            _candidates.Add(new NeighbourCandidate(_drawn.Count, asking.Peer.Place.NearnessTo(peer.Place), held));
            _drawn.Add(peer);
        }
    }

    private static IEnumerable<(Label Label, string Value)> KeysOf(PeerPlace place)
    {
        if (place.Host.Length > 0)
        {
            yield return (Label.Host, place.Host);
        }

        if (place.Rack is not null)
        {
            yield return (Label.Rack, place.Rack);
        }

        if (place.Rail is not null)
        {
            yield return (Label.Rail, place.Rail);
        }
    }
}
