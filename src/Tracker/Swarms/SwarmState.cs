using System.Buffers;
using System.Collections.Immutable;
using P2PWeights.Store.Content;
using P2PWeights.Transfer;

namespace P2PWeights.Tracker.Swarms;

/// <summary>
/// Who is alive and who holds what: soft state in memory, told by the peers' syncs and gone when their leases run out. After a restart it is empty, every peer
/// is asked for a full sync, and within one lease it is whole again.
/// One lock around everything, held for short computations on words of bits and never across IO; requests are parsed and answers encoded outside of it.
/// </summary>
internal sealed class SwarmState(TimeSpan lease, int neighbours, TimeProvider time, Random random)
{
    /// <summary>How long a swarm without members stays in memory after the last question about it.</summary>
    internal static readonly TimeSpan Linger = TimeSpan.FromMinutes(1);

    private readonly Lock _lock = new();
    private readonly Dictionary<Guid, TrackedState> _peers = [];
    private readonly Dictionary<Digest, Swarm> _swarms = [];
    private readonly OrdinalTable _ordinals = new();
    private long _nextSweep = long.MinValue;
    private long _syncs;

    /// <summary>Changes with each start of this state. Fits into a JSON number: microseconds since 1970, three digits of them random.</summary>
    public long Epoch { get; } = (time.GetUtcNow().ToUnixTimeMilliseconds() * 1000) + random.Next(1000);

    /// <summary>Those of the manifests that have no swarm yet: the caller loads them and calls <see cref="AddSwarm"/>.</summary>
    public ImmutableArray<Digest> Unknown(ImmutableArray<Digest> manifests)
    {
        lock (_lock)
        {
            return manifests.All(_swarms.ContainsKey) ? [] : [.. manifests.Where(manifest => !_swarms.ContainsKey(manifest))];
        }
    }

    /// <summary>Makes a swarm for a manifest, unless there is one.</summary>
    public void AddSwarm(Digest manifest, ImmutableArray<ShardInfo> shards)
    {
        lock (_lock)
        {
            if (_swarms.ContainsKey(manifest))
            {
                return;
            }

            var ordinals = new int[shards.Length];
            for (var i = 0; i < ordinals.Length; i++)
            {
                ordinals[i] = _ordinals.AddSwarm(shards[i].Digest);
            }

            _swarms.Add(manifest, new Swarm(manifest, ordinals) { LastUsed = time.GetTimestamp() });
        }
    }

    /// <summary>Takes a sync; the answer has no catalog events yet.</summary>
    public SyncResponse Sync(SyncRequest request)
    {
        lock (_lock)
        {
            Sweep();
            _syncs++;
            var known = _peers.GetValueOrDefault(request.Peer.Id);
            if (request.Leaving)
            {
                if (known is not null)
                {
                    Forget(known);
                }

                return Answer(resync: false, []);
            }

            // The same number again is the same sync again, sent twice because the answer was lost; taking it twice changes nothing.
            if (!request.Full && (known is null || (request.Sequence != known.Sequence && request.Sequence != known.Sequence + 1)))
            {
                return Answer(resync: true, []);
            }

            var peer = known ?? Remember(request.Peer);
            peer.Info = request.Peer;
            peer.Sequence = request.Sequence;
            peer.LastSync = time.GetTimestamp();
            peer.LoadBytesPerSecond = request.LoadBytesPerSecond;
            TakeShards(peer, request);
            TakeSwarms(peer, request.Swarms);
            return Answer(resync: false, [.. peer.Memberships.Select(View)]);
        }
    }

    /// <summary>How well a manifest is held; null when it has no swarm.</summary>
    public SwarmHealth? Health(Digest manifest)
    {
        lock (_lock)
        {
            Sweep();
            if (!_swarms.TryGetValue(manifest, out var swarm))
            {
                return null;
            }

            swarm.LastUsed = time.GetTimestamp();
            var available = swarm.Mask.CountCommon(_ordinals.Live);
            var missing = swarm.Mask.Count - available;
            return new SwarmHealth(available, missing, missing > 0 ? 0 : _peers.Values.Count(peer => peer.Held.ContainsAll(swarm.Mask)));
        }
    }

    /// <summary>The live peers, by name.</summary>
    public ImmutableArray<TrackedPeer> Peers()
    {
        lock (_lock)
        {
            Sweep();
            return [.. _peers.Values
                .Select(peer => new TrackedPeer(
                    peer.Info, peer.Held.Count, peer.Memberships.Count, (long)time.GetElapsedTime(peer.LastSync).TotalMilliseconds, peer.LoadBytesPerSecond))
                .OrderBy(peer => peer.Peer.Name, StringComparer.Ordinal).ThenBy(peer => peer.Peer.Id)];
        }
    }

    public SwarmCounts Counts()
    {
        lock (_lock)
        {
            Sweep();
            return new SwarmCounts(_peers.Count, _swarms.Count, _ordinals.Live.Count, _syncs);
        }
    }

    private SyncResponse Answer(bool resync, ImmutableArray<SwarmView> views) => new((int)lease.TotalMilliseconds, resync, Epoch, views, []);

    private TrackedState Remember(PeerInfo info)
    {
        var peer = new TrackedState(info);
        _peers.Add(info.Id, peer);
        return peer;
    }

    private void Forget(TrackedState peer)
    {
        _peers.Remove(peer.Info.Id);
        foreach (var member in peer.Memberships)
        {
            member.Swarm.Remove(member);
        }

        _ordinals.RemoveReplicas(peer.Held);
    }

    private void TakeShards(TrackedState peer, SyncRequest request)
    {
        if (request.Full)
        {
            // Count the new replicas before the old are counted off, so that shards in both keep their ordinals.
            var before = peer.Held;
            peer.Held = new Bitmap();
            Gain(peer, request.Gained);
            _ordinals.RemoveReplicas(before);
        }
        else
        {
            Gain(peer, request.Gained);
        }

        foreach (var shard in request.Lost)
        {
            _ordinals.RemoveReplica(shard, peer.Held);
        }

        if (request.Full || !request.Gained.IsEmpty || !request.Lost.IsEmpty)
        {
            foreach (var member in peer.Memberships)
            {
                member.Held = peer.Held.CountCommon(member.Swarm.Mask);
            }
        }
    }

    private void Gain(TrackedState peer, ImmutableArray<Digest> gained)
    {
        foreach (var shard in gained)
        {
            _ordinals.AddReplica(shard, peer.Held);
        }
    }

    private void TakeSwarms(TrackedState peer, ImmutableArray<Digest> manifests)
    {
        var wanted = manifests.ToHashSet();
        for (var i = peer.Memberships.Count - 1; i >= 0; i--)
        {
            var member = peer.Memberships[i];
            if (!wanted.Remove(member.Swarm.Manifest))
            {
                member.Swarm.Remove(member);
                peer.Memberships.RemoveAt(i);
            }
        }

        foreach (var manifest in wanted)
        {
            if (_swarms.TryGetValue(manifest, out var swarm))
            {
                peer.Memberships.Add(swarm.Add(peer));
            }
        }
    }

    private SwarmView View(Member asking)
    {
        var swarm = asking.Swarm;
        swarm.LastUsed = time.GetTimestamp();
        var members = swarm.Members;
        var candidates = ArrayPool<NeighbourCandidate>.Shared.Rent(members.Length);
        var count = 0;
        foreach (var member in members)
        {
            if (member != asking)
            {
                candidates[count++] = new NeighbourCandidate(member.Index, Nearness(asking.Peer.Info, member.Peer.Info), member.Held);
            }
        }

        var chosen = ImmutableArray.CreateBuilder<Neighbour>(Math.Min(count, neighbours));
        foreach (var index in NeighbourPlanner.Choose(candidates.AsSpan(0, count), neighbours, random))
        {
            var peer = members[index].Peer;
            chosen.Add(new Neighbour(peer.Info, swarm.HeldBy(peer)));
        }

        ArrayPool<NeighbourCandidate>.Shared.Return(candidates);
        return new SwarmView(swarm.Manifest, members.Length, chosen.DrainToImmutable(), swarm.Rarity(_ordinals));
    }

    private static int Nearness(PeerInfo asking, PeerInfo other)
    {
        if (asking.HostId == other.HostId)
        {
            return 3;
        }

        return SameLabel(asking, other, "rack") ? 2 : SameLabel(asking, other, "zone") ? 1 : 0;
    }

    private static bool SameLabel(PeerInfo asking, PeerInfo other, string label) =>
        asking.Labels.TryGetValue(label, out var mine) && other.Labels.TryGetValue(label, out var theirs) && mine == theirs;

    /// <summary>
    /// Forgets peers whose lease ran out and swarms that nobody is in or asks about. Looks through the peers only when the first lease, as of the last look,
    /// can have run out: about once per lease under steady syncs.
    /// </summary>
    private void Sweep()
    {
        var now = time.GetTimestamp();
        if (now < _nextSweep)
        {
            return;
        }

        var leaseTicks = Ticks(lease);
        var next = now + leaseTicks;
        foreach (var peer in _peers.Values.ToArray())
        {
            if (peer.LastSync + leaseTicks <= now)
            {
                Forget(peer);
            }
            else
            {
                next = Math.Min(next, peer.LastSync + leaseTicks);
            }
        }

        foreach (var swarm in _swarms.Values.ToArray())
        {
            if (swarm.Members.IsEmpty && swarm.LastUsed + Ticks(Linger) <= now)
            {
                _swarms.Remove(swarm.Manifest);
                swarm.Mask.ForEach(_ordinals.RemoveSwarm);
            }
        }

        _nextSweep = next;
    }

    private long Ticks(TimeSpan span) => (long)(span.TotalSeconds * time.TimestampFrequency);
}
