using System.Collections.Immutable;
using P2PWeights.Store.Content;
using P2PWeights.Tracker.Http;
using P2PWeights.Transfer;

namespace P2PWeights.Tracker.Swarms;

/// <summary>
/// Who is alive and who holds what: soft state in memory, told by the peers' syncs and gone when their leases run out. After a restart it is empty, every peer
/// is asked for a full sync, and within one lease it is whole again.
/// One lock around everything, held for short computations on words of bits and never across IO; requests are parsed and answers encoded outside of it.
/// What one sync costs depends on what it says, not on how many peers there are: whoever pulls has a set of neighbours that is chosen anew from a bounded sample, and seldom.
/// </summary>
/// <param name="mostHeld">Shards up to which a peer may tell of more by digest.</param>
internal sealed class SwarmState(TimeSpan lease, int neighbours, TimeProvider time, Random random, int mostHeld = RequestRules.MaxShardsOfPeer)
{
    /// <summary>How long a swarm without members stays in memory after the last question about it.</summary>
    internal static readonly TimeSpan Linger = TimeSpan.FromMinutes(1);

    /// <summary>How often one peer is told which shards of one of its swarms are scarce: it is news for eviction, which can do with old ones.</summary>
    internal static readonly TimeSpan ScarceInterval = TimeSpan.FromSeconds(30);

    /// <summary>Replicas that one call counts off of peers whose leases ran out, at about 2 ns each: when all of a cluster goes at once, the others wait no longer than that.</summary>
    private const int ForgottenPerCall = 500_000;

    /// <summary>Shards that are looked up under one hold of the lock, at about 100 ns each.</summary>
    private const int LookedUpPerHold = 8192;

    /// <summary>Rates are measured over at least so long: what came between two syncs that follow each other at once says little.</summary>
    private static readonly TimeSpan ShortestRate = TimeSpan.FromSeconds(0.5);

    private readonly Lock _lock = new();
    private readonly Dictionary<Guid, TrackedState> _peers = [];
    private readonly LinkedList<TrackedState> _turns = [];
    private readonly SwarmTable _swarms = new();
    private readonly OrdinalTable _ordinals = new();
    private readonly Neighbourhoods _neighbourhoods = new(neighbours, random);
    private readonly SyncPace _pace = new(lease);
    private long _nextLookAtSwarms = long.MinValue;
    private long _neighbourSets;
    private long _syncs;

    /// <summary>Changes with each start of this state. Fits into a JSON number: microseconds since 1970, three digits of them random.</summary>
    public long Epoch { get; } = (time.GetUtcNow().ToUnixTimeMilliseconds() * 1000) + random.Next(1000);

    /// <summary>Those of the manifests that have no swarm yet: the caller loads them and calls <see cref="AddSwarm"/>.</summary>
    public ImmutableArray<Digest> Unknown(IEnumerable<Digest> manifests)
    {
        lock (_lock)
        {
            return [.. manifests.Where(manifest => !_swarms.Contains(manifest))];
        }
    }

    /// <summary>
    /// Makes a swarm for a manifest, unless there is one. It is compared with all others outside of the lock; who asks for neighbours at that very moment may get none of another version.
    /// </summary>
    public void AddSwarm(Digest manifest, ImmutableArray<ShardInfo> shards)
    {
        (Swarm Added, Swarm[] Others) made;
        lock (_lock)
        {
            if (_swarms.TryAdd(manifest, shards, _ordinals, time.GetTimestamp()) is not { } one)
            {
                return;
            }

            made = one;
        }

        var related = SwarmTable.Compare(made.Added, made.Others);
        lock (_lock)
        {
            _swarms.Relate(made.Added, related);
        }
    }

    /// <summary>Takes a sync; the answer has no catalog events yet.</summary>
    /// <exception cref="TrackerException">A bitmap does not fit its manifest; nothing was taken.</exception>
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

                return Answer(resync: false);
            }

            // One that has become another kind of peer begins anew.
            var former = known?.Info.Passing != request.Peer.Passing ? known : null;
            known = former is null ? known : null;

            // The same number again is the same sync again, sent twice because the answer was lost; taking it twice changes nothing.
            var isTaken = request.Full || (known is not null && (request.Sequence == known.Sequence || request.Sequence == known.Sequence + 1));
            if (isTaken)
            {
                SyncLimits.Require(request, known, _swarms, mostHeld);
            }

            if (former is not null)
            {
                Forget(former);
            }

            if (!isTaken)
            {
                return Answer(resync: true);
            }

            var now = time.GetTimestamp();
            var peer = known ?? Remember(request.Peer);
            Renew(peer, request, now);
            var unknown = TakeHoldings(peer, request);
            return Answer(resync: false) with { Swarms = TakePulls(peer, request.Pulls, now), Unknown = unknown, Scarce = NextScarce(peer, now) };
        }
    }

    /// <summary>How well a manifest is held; null when it has no swarm.</summary>
    public SwarmHealth? Health(Digest manifest)
    {
        lock (_lock)
        {
            Sweep();
            return Use(manifest) is { } swarm ? HealthOf(swarm) : null;
        }
    }

    /// <summary>How well a manifest is held that has no swarm, and gets none by the question. Nobody is in it, so nobody counts as complete.</summary>
    public SwarmHealth HealthWithoutSwarm(ImmutableArray<ShardInfo> shards)
    {
        var available = 0;
        for (var start = 0; start < shards.Length; start += LookedUpPerHold)
        {
            lock (_lock)
            {
                Sweep();
                foreach (var shard in shards.AsSpan(start, Math.Min(LookedUpPerHold, shards.Length - start)))
                {
                    available += _ordinals.IsLive(shard.Digest) ? 1 : 0;
                }
            }
        }

        return new SwarmHealth(available, shards.Length - available, CompletePeers: 0, LastingCopies: 0);
    }

    /// <summary>A swarm and its members, those that have most left to pull first; null when the manifest has no swarm.</summary>
    /// <param name="most">Members that are listed.</param>
    public (SwarmHealth Health, int Members, int Pulling, ImmutableArray<SwarmMember> Listed)? Look(Digest manifest, int most)
    {
        lock (_lock)
        {
            Sweep();
            if (Use(manifest) is not { } swarm)
            {
                return null;
            }

            var members = swarm.Members.ToArray();
            var listed = members
                .OrderBy(member => member.Pull is null)
                .ThenByDescending(member => member.Pull?.Pull is { } pull ? pull.BytesTotal - pull.BytesDone : 0)
                .ThenBy(member => member.Held)
                .ThenBy(member => member.Peer.Info.Name, StringComparer.Ordinal)
                .Take(most)
                .Select(Describe);
            return (HealthOf(swarm), members.Length, members.Count(member => member.Pull is not null), [.. listed]);
        }
    }

    /// <summary>The live peers, by name.</summary>
    public ImmutableArray<TrackedPeer> Peers()
    {
        lock (_lock)
        {
            Sweep();
            return [.. _peers.Values
                .Select(peer => new TrackedPeer(peer.Info, peer.Held.Count, peer.Memberships.Count, Age(peer), peer.LoadBytesPerSecond))
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

    private SyncResponse Answer(bool resync)
    {
        var (leased, gather) = _pace.For(_peers.Count);
        return new SyncResponse((int)leased.TotalMilliseconds, (int)gather.TotalMilliseconds, resync, Epoch, [], [], null, []);
    }

    private TrackedState Remember(PeerInfo info)
    {
        var peer = new TrackedState(info);
        _peers.Add(info.Id, peer);
        _neighbourhoods.Enter(peer);
        _turns.AddLast(peer.Turn);
        return peer;
    }

    private void Forget(TrackedState peer)
    {
        peer.IsGone = true;
        _peers.Remove(peer.Info.Id);
        _turns.Remove(peer.Turn);
        _neighbourhoods.Leave(peer, peer.Place);
        foreach (var member in peer.Memberships)
        {
            member.Swarm.Remove(member);
        }

        _ordinals.RemoveReplicas(peer.Held);
    }

    private void Renew(TrackedState peer, SyncRequest request, long now)
    {
        var place = peer.Place;
        if (peer.Describe(request.Peer))
        {
            _neighbourhoods.Leave(peer, place);
            _neighbourhoods.Enter(peer);
        }

        (peer.Sequence, peer.LastSync, peer.LoadBytesPerSecond) = (request.Sequence, now, request.LoadBytesPerSecond);
        peer.LeaseEnds = now + Ticks(_pace.For(_peers.Count).Lease);
        _turns.Remove(peer.Turn);
        _turns.AddLast(peer.Turn);
    }

    /// <summary>Takes which swarms the peer is in and what it holds; gives the swarms that are not known.</summary>
    private ImmutableArray<Digest> TakeHoldings(TrackedState peer, SyncRequest request)
    {
        var before = peer.Held;
        if (request.Full)
        {
            // Count the new replicas before the old are counted off, so that shards in both keep their ordinals.
            peer.Held = new Bitmap();
            var named = request.Swarms.Select(swarm => swarm.Manifest).ToHashSet();
            peer.Memberships.Where(member => !named.Contains(member.Swarm.Manifest)).ToList().ForEach(Leave);
        }

        foreach (var manifest in request.Left)
        {
            if (Membership(peer, manifest) is { } member)
            {
                Leave(member);
            }
        }

        var unknown = ImmutableArray<Digest>.Empty;
        foreach (var (manifest, held) in request.Swarms)
        {
            if (_swarms.Find(manifest) is { } swarm)
            {
                swarm.SetHeld(peer, held.Span, _ordinals);
                if (peer.In(swarm) is null)
                {
                    peer.Memberships.Add(swarm.Add(peer));
                }
            }
            else
            {
                unknown = unknown.Add(manifest);
            }
        }

        foreach (var shard in request.Gained)
        {
            _ordinals.AddReplica(shard, peer.Held);
        }

        foreach (var shard in request.Lost)
        {
            _ordinals.RemoveReplica(shard, peer.Held);
        }

        if (request.Full)
        {
            _ordinals.RemoveReplicas(before);
        }

        if (request.Full || !request.Swarms.IsEmpty || !request.Gained.IsEmpty || !request.Lost.IsEmpty)
        {
            foreach (var member in peer.Memberships)
            {
                member.Swarm.Recount(member);
            }
        }

        return unknown;
    }

    private static void Leave(Member member)
    {
        member.Swarm.Remove(member);
        member.Peer.Memberships.Remove(member);
    }

    /// <summary>Takes how far the peer's pulls are; gives the swarms as it should see them.</summary>
    private ImmutableArray<SwarmView> TakePulls(TrackedState peer, ImmutableArray<SwarmPull> pulls, long now)
    {
        foreach (var member in peer.Memberships)
        {
            if (member.Pull is not null && !pulls.Any(pull => pull.Manifest == member.Swarm.Manifest))
            {
                member.Pull = null;
            }
        }

        var views = ImmutableArray.CreateBuilder<SwarmView>(pulls.Length);
        foreach (var pull in pulls)
        {
            if (Membership(peer, pull.Manifest) is { } member)
            {
                member.Pull = member.Pull is not { } before ? new PullSeen(pull, pull.BytesDone, now, 0)
                    : time.GetElapsedTime(before.MeasuredAt, now) is var passed && passed < ShortestRate ? before with { Pull = pull }
                    : new PullSeen(pull, pull.BytesDone, now, (long)(Math.Max(0, pull.BytesDone - before.MeasuredBytes) / passed.TotalSeconds));
                views.Add(View(member, pull.Seen, now));
            }
        }

        return views.ToImmutable();
    }

    private SwarmView View(Member asking, long seen, long now)
    {
        var swarm = asking.Swarm;
        swarm.LastUsed = now;
        if (asking.Neighbours is not { } set || IsStale(set, swarm, now))
        {
            var peers = _neighbourhoods.Choose(asking);
            var same = asking.Neighbours is { } before && before.Peers.Count == peers.Count && peers.All(before.Peers.Contains);
            asking.Neighbours = set = new NeighbourSet(same ? asking.Neighbours!.Number : ++_neighbourSets, now, swarm.Entered, peers);
        }

        return new SwarmView(swarm.Manifest, swarm.Members.Length, set.Number, seen == set.Number ? null : [.. set.Peers.Select(peer => peer.Info)]);
    }

    /// <summary>A set lives for a lease, less when one of it is gone or, while it is not full, when somebody entered the swarm.</summary>
    private bool IsStale(NeighbourSet set, Swarm swarm, long now) =>
        set.ChosenAt + Ticks(lease) <= now
        || set.Peers.Any(peer => peer.IsGone)
        || (set.Peers.Count < neighbours && set.Entered != swarm.Entered);

    /// <summary>One swarm of the peer, in turn, when it was told of that one long enough ago.</summary>
    private ScarceShards? NextScarce(TrackedState peer, long now)
    {
        if (peer.Memberships.Count == 0)
        {
            return null;
        }

        var member = peer.Memberships[peer.NextScarce++ % peer.Memberships.Count];
        if (member.ToldScarce is { } told && told + Ticks(ScarceInterval) > now)
        {
            return null;
        }

        member.ToldScarce = now;
        return new ScarceShards(member.Swarm.Manifest, member.Swarm.Scarce(_ordinals));
    }

    private Member? Membership(TrackedState peer, Digest manifest) => _swarms.Find(manifest) is { } swarm ? peer.In(swarm) : null;

    private Swarm? Use(Digest manifest)
    {
        if (_swarms.Find(manifest) is not { } swarm)
        {
            return null;
        }

        swarm.LastUsed = time.GetTimestamp();
        return swarm;
    }

    private SwarmHealth HealthOf(Swarm swarm)
    {
        var available = swarm.Mask.CountCommon(_ordinals.Live);
        return new SwarmHealth(available, swarm.Shards - available, swarm.Complete, swarm.LastingCopies);
    }

    private SwarmMember Describe(Member member)
    {
        var (peer, pull) = (member.Peer, member.Pull);
        return new SwarmMember(
            peer.Info.Id, peer.Info.Name, member.Held, pull is not null, pull?.Pull.BytesDone ?? 0, pull?.Pull.BytesTotal ?? 0, pull?.BytesPerSecond ?? 0,
            pull?.Pull.Path ?? "", peer.LoadBytesPerSecond, Age(peer));
    }

    private long Age(TrackedState peer) => (long)time.GetElapsedTime(peer.LastSync).TotalMilliseconds;

    /// <summary>
    /// Forgets peers whose lease ran out, those whose last sync is the oldest first, and about once per lease swarms that nobody is in or asks about.
    /// </summary>
    private void Sweep()
    {
        var now = time.GetTimestamp();
        for (var left = ForgottenPerCall; left > 0 && _turns.First is { } first && first.Value.LeaseEnds <= now; left -= first.Value.Held.Count)
        {
            Forget(first.Value);
        }

        if (now < _nextLookAtSwarms)
        {
            return;
        }

        _nextLookAtSwarms = now + Ticks(lease);
        _swarms.ForgetUnused(now - Ticks(Linger), _ordinals);
    }

    private long Ticks(TimeSpan span) => (long)(span.TotalSeconds * time.TimestampFrequency);
}
