using System.Collections.Immutable;
using P2PWeights.Store.Content;
using P2PWeights.Tracker.Http;
using P2PWeights.Tracker.Swarms;

namespace P2PWeights.Tracker.Tests.Swarms;

/// <summary>The rules of <c>sync</c>, in virtual time.</summary>
public sealed class SwarmStateTests
{
    private static readonly TimeSpan Lease = TimeSpan.FromSeconds(10);

    private readonly ManualTime _time = new();
    private readonly Manifest _manifest = Make.Manifest("a", 100);
    private readonly SwarmState _state;

    public SwarmStateTests()
    {
        _state = new SwarmState(Lease, neighbours: 16, _time, new Random(1));
        _state.AddSwarm(_manifest.Digest, _manifest.Shards);
    }

    [Fact]
    public void Sync_first_of_a_peer_that_is_not_full_asks_for_a_full_one_and_takes_nothing()
    {
        var answer = _state.Sync(Make.Sync(Make.Peer(1), 5, Make.ShardsOf(_manifest), []).Pulling(_manifest));

        Assert.True(answer.Resync);
        Assert.Empty(answer.Swarms);
        Assert.Equal(10_000, answer.LeaseMs);
        Assert.Equal(0, _state.Counts().Peers);
        Assert.Equal(0, _state.Counts().DistinctShards);
    }

    [Fact]
    public void Sync_gap_in_the_numbers_asks_for_a_full_one_and_takes_nothing()
    {
        var shards = Make.ShardsOf(_manifest);
        _state.Sync(Make.FullSync(Make.Peer(1), 1, shards.Take(1), _manifest));

        Assert.True(_state.Sync(Make.Sync(Make.Peer(1), 3, shards.Skip(1), [])).Resync);
        Assert.Equal(1, _state.Health(_manifest.Digest)!.Value.AvailableShards);
        Assert.False(_state.Sync(Make.Sync(Make.Peer(1), 2, shards.Skip(1), [])).Resync);
        Assert.Equal(100, _state.Health(_manifest.Digest)!.Value.AvailableShards);
    }

    [Fact]
    public void Sync_same_number_again_is_the_same_sync_sent_twice()
    {
        var shards = Make.ShardsOf(_manifest);
        _state.Sync(Make.FullSync(Make.Peer(1), 1, shards.Take(50), _manifest));
        var sync = Make.Sync(Make.Peer(1), 2, shards.Skip(50), shards.Take(10));

        Assert.False(_state.Sync(sync).Resync);
        Assert.False(_state.Sync(sync).Resync);

        Assert.Equal(90, _state.Health(_manifest.Digest)!.Value.AvailableShards);
        Assert.True(IsScarce(_state.Sync(Make.FullSync(Make.Peer(2), 1, [], _manifest)), shard: 99));
    }

    [Fact]
    public void Sync_full_replaces_what_was_known()
    {
        var shards = Make.ShardsOf(_manifest);
        _state.Sync(Make.FullSync(Make.Peer(1), 1, shards.Take(60), _manifest));
        _state.Sync(Make.FullSync(Make.Peer(1), 9, shards.Skip(50), _manifest));

        Assert.Equal(new SwarmHealth(50, 50, 0, 0), _state.Health(_manifest.Digest));
        _state.Sync(Make.FullSync(Make.Peer(2), 1, shards.Take(50), _manifest));
        Assert.Equal(new SwarmHealth(100, 0, 0, 0), _state.Health(_manifest.Digest));
    }

    [Fact]
    public void Sync_leaving_forgets_the_peer_at_once()
    {
        _state.Sync(Make.FullSync(Make.Peer(1), 1, Make.ShardsOf(_manifest), _manifest));
        var answer = _state.Sync(Make.Leave(Make.Peer(1), 2));

        Assert.False(answer.Resync);
        Assert.Empty(answer.Swarms);
        Assert.Empty(_state.Peers());
        Assert.Equal(new SwarmHealth(0, 100, 0, 0), _state.Health(_manifest.Digest));
    }

    [Fact]
    public void Peer_inside_a_command_is_complete_and_no_lasting_copy()
    {
        var passing = Make.Peer(1) with { Passing = true };
        _state.Sync(Make.FullSync(passing, 1, Make.ShardsOf(_manifest), _manifest));
        Assert.Equal(new SwarmHealth(100, 0, 1, 0), _state.Health(_manifest.Digest));

        _state.Sync(Make.FullSync(Make.Peer(2), 1, Make.ShardsOf(_manifest), _manifest));
        Assert.Equal(new SwarmHealth(100, 0, 2, 1), _state.Health(_manifest.Digest));

        _state.Sync(Make.Leave(passing, 2));
        Assert.Equal(new SwarmHealth(100, 0, 1, 1), _state.Health(_manifest.Digest));

        // The same node again, as one inside a command: what was counted is counted back.
        Assert.True(_state.Sync(Make.Sync(Make.Peer(2) with { Passing = true }, 2, [], [])).Resync);
        Assert.Equal(new SwarmHealth(0, 100, 0, 0), _state.Health(_manifest.Digest));
    }

    [Fact]
    public void Lease_that_runs_out_forgets_the_peer_and_a_sync_in_time_keeps_it()
    {
        _state.Sync(Make.FullSync(Make.Peer(1), 1, Make.ShardsOf(_manifest), _manifest));
        _state.Sync(Make.FullSync(Make.Peer(2), 1, Make.ShardsOf(_manifest), _manifest));
        _time.Advance(Lease / 2);
        _state.Sync(Make.Sync(Make.Peer(2), 2, [], []));
        Assert.Equal(new SwarmHealth(100, 0, 2, 2), _state.Health(_manifest.Digest));

        _time.Advance(Lease / 2);
        Assert.Equal("n2", Assert.Single(_state.Peers()).Peer.Name);
        Assert.Equal(new SwarmHealth(100, 0, 1, 1), _state.Health(_manifest.Digest));
        Assert.True(_state.Sync(Make.Sync(Make.Peer(1), 2, [], [])).Resync);

        _time.Advance(Lease);
        Assert.Empty(_state.Peers());
        Assert.Equal(0, _state.Counts().DistinctShards);
    }

    [Fact]
    public void Sync_swarm_without_manifest_is_passed_over_until_the_manifest_is_there()
    {
        var later = Make.Manifest("later", 5);
        var first = _state.Sync(Make.FullSync(Make.Peer(1), 1, Make.ShardsOf(later), later).Pulling(later));
        Assert.Empty(first.Swarms);
        Assert.Equal(later.Digest, Assert.Single(first.Unknown));
        Assert.Null(_state.Health(later.Digest));

        _state.AddSwarm(later.Digest, later.Shards);
        var second = _state.Sync(Make.Holding(Make.Peer(1), 2, Make.ShardsOf(later), later).Pulling(later));
        Assert.Equal(1, Assert.Single(second.Swarms).Peers);
        Assert.Empty(second.Unknown);
        Assert.Equal(new SwarmHealth(5, 0, 1, 1), _state.Health(later.Digest));
    }

    [Fact]
    public void Scarce_shards_are_told_of_seldom_and_say_which_have_one_replica_at_most()
    {
        _state.Sync(Make.FullSync(Make.Peer(1), 1, Make.ShardsOf(_manifest).Take(2), _manifest));
        var first = _state.Sync(Make.FullSync(Make.Peer(2), 1, Make.ShardsOf(_manifest).Skip(1).Take(2), _manifest));
        Assert.Equal([true, false, true, true], Enumerable.Range(0, 4).Select(shard => IsScarce(first, shard)));
        Assert.Null(_state.Sync(Make.Sync(Make.Peer(2), 2, [], [])).Scarce);

        for (var sequence = 3; _time.GetTimestamp() < (TimeSpan.FromDays(1) + SwarmState.ScarceInterval).Ticks; sequence++)
        {
            _state.Sync(Make.Sync(Make.Peer(1), sequence - 1, [], []));
            Assert.Null(_state.Sync(Make.Sync(Make.Peer(2), sequence, [], [])).Scarce);
            _time.Advance(Lease / 2);
        }

        Assert.NotNull(_state.Sync(Make.Sync(Make.Peer(2), 9, [], [])).Scarce);
    }

    [Fact]
    public void Bitmap_that_does_not_fit_is_refused_and_nothing_is_taken()
    {
        var sync = Make.FullSync(Make.Peer(1), 1, Make.ShardsOf(_manifest), _manifest);
        foreach (var held in (byte[][])[[], new byte[12], new byte[14], [.. new byte[12], 0x10]])
        {
            Assert.Throws<TrackerException>(() => _state.Sync(sync with { Gained = [Make.Digest("x")], Swarms = [new SwarmHoldings(_manifest.Digest, held)] }));
        }

        Assert.Equal((0, 0), (_state.Counts().Peers, _state.Counts().DistinctShards));
    }

    [Fact]
    public void More_swarms_than_a_peer_may_be_in_are_refused_however_many_syncs_they_take()
    {
        var manifests = Enumerable.Range(0, RequestRules.MaxSwarms + 1).Select(i => Make.Manifest($"m{i}", 1)).ToArray();
        Array.ForEach(manifests, manifest => _state.AddSwarm(manifest.Digest, manifest.Shards));
        _state.Sync(Make.FullSync(Make.Peer(1), 1, [], manifests[..^1]));

        Assert.Throws<TrackerException>(() => _state.Sync(Make.Holding(Make.Peer(1), 2, [], manifests[^1])));
        Assert.Empty(_state.Sync(Make.Holding(Make.Peer(1), 2, [], manifests[^1]) with { Left = [manifests[0].Digest] }).Unknown);
    }

    [Fact]
    public void Left_digests_that_the_peer_is_not_in_make_no_room_for_further_swarms()
    {
        var manifests = Enumerable.Range(0, RequestRules.MaxSwarms + 2).Select(i => Make.Manifest($"m{i}", 1)).ToArray();
        Array.ForEach(manifests, manifest => _state.AddSwarm(manifest.Digest, manifest.Shards));
        _state.Sync(Make.FullSync(Make.Peer(1), 1, [], manifests[..^2]));
        var enters = Make.Holding(Make.Peer(1), 2, [], manifests[^1]);

        Assert.Throws<TrackerException>(() => _state.Sync(enters with { Left = [Make.Digest("nobody"), manifests[^2].Digest] }));
        Assert.Throws<TrackerException>(() => _state.Sync(Make.Holding(Make.Peer(1), 2, [], manifests[0], manifests[^1]) with { Left = [manifests[0].Digest] }));
        Assert.Equal(RequestRules.MaxSwarms, Assert.Single(_state.Peers()).Swarms);
        Assert.False(_state.Sync(enters with { Left = [manifests[0].Digest, manifests[0].Digest] }).Resync);
        Assert.Equal(RequestRules.MaxSwarms, Assert.Single(_state.Peers()).Swarms);
    }

    [Fact]
    public void Shards_told_by_digest_are_bounded_per_peer_and_those_in_swarms_are_not()
    {
        var state = new SwarmState(Lease, neighbours: 16, _time, new Random(1), mostHeld: 50);
        state.AddSwarm(_manifest.Digest, _manifest.Shards);
        var loose = Make.ShardsOf(Make.Manifest("loose", 60));
        state.Sync(Make.FullSync(Make.Peer(1), 1, loose.Take(30)));
        state.Sync(Make.Sync(Make.Peer(1), 2, loose.Skip(30).Take(20), []));

        var refusal = Assert.Throws<TrackerException>(() => state.Sync(Make.Sync(Make.Peer(1), 3, loose.Skip(50).Take(1), [Make.Digest("invented")])));

        Assert.Equal((TrackerError.Refused, "n1 holds 50 shards and tells of 1 more by digest: beyond 50 a peer tells of shards in swarms only; enter the swarms of what it holds, or hold less"), (refusal.Error, refusal.Message));
        Assert.Equal(50, Assert.Single(state.Peers()).Shards);
        state.Sync(Make.Holding(Make.Peer(1), 3, Make.ShardsOf(_manifest), _manifest));
        Assert.Equal(150, Assert.Single(state.Peers()).Shards);
        state.Sync(Make.Sync(Make.Peer(2), 1, loose, []) with { Full = true });
        Assert.Equal(60, state.Peers()[1].Shards);
    }

    [Fact]
    public void Rate_of_a_pull_is_not_measured_over_less_than_half_a_second()
    {
        _state.Sync(Make.FullSync(Make.Peer(1), 1, [], _manifest) with { Pulls = Done(0) });
        Assert.Equal(0, Next(TimeSpan.FromSeconds(1) / 100, sequence: 2, bytes: 400));
        Assert.Equal(2000, Next(TimeSpan.FromSeconds(1) * 0.49, sequence: 3, bytes: 1000));
        Assert.Equal(2000, Next(TimeSpan.FromSeconds(1) / 1000, sequence: 4, bytes: 1900));
        Assert.Equal(1000, Next(TimeSpan.FromSeconds(1) * 0.999, sequence: 5, bytes: 2000));

        long Next(TimeSpan after, int sequence, long bytes)
        {
            _time.Advance(after);
            _state.Sync(Make.Sync(Make.Peer(1), sequence, [], []) with { Pulls = Done(bytes) });
            var member = Assert.Single(_state.Look(_manifest.Digest, most: 1)!.Value.Listed);
            Assert.Equal(bytes, member.BytesDone);
            return member.BytesPerSecond;
        }

        ImmutableArray<SwarmPull> Done(long bytes) => [new SwarmPull(_manifest.Digest, 0, bytes, 100_000, "tcp")];
    }

    [Fact]
    public void Health_without_a_swarm_counts_the_shards_that_somebody_holds_and_makes_none()
    {
        var other = Make.Manifest("other", 20_000);
        _state.Sync(Make.FullSync(Make.Peer(1), 1, Make.ShardsOf(other).Skip(5)));

        Assert.Equal(new SwarmHealth(19_995, 5, 0, 0), _state.HealthWithoutSwarm(other.Shards));
        Assert.Equal(1, _state.Counts().Swarms);
        _state.Sync(Make.Leave(Make.Peer(1), 2));
        Assert.Equal(new SwarmHealth(0, 20_000, 0, 0), _state.HealthWithoutSwarm(other.Shards));
    }

    [Fact]
    public void Peers_that_do_not_name_their_host_are_not_taken_for_those_of_one()
    {
        var (nowhere, here) = (new PeerPlace("", null, null, null), new PeerPlace("h", null, null, null));
        Assert.Equal((0, 0, 3), (nowhere.NearnessTo(nowhere), nowhere.NearnessTo(here), here.NearnessTo(here)));
    }

    [Fact]
    public void Heartbeat_is_answered_without_neighbours_and_a_pull_gets_them_once()
    {
        _state.Sync(Make.FullSync(Make.Peer(1), 1, Make.ShardsOf(_manifest), _manifest));
        Assert.Empty(_state.Sync(Make.FullSync(Make.Peer(2), 1, [], _manifest)).Swarms);

        var asked = Assert.Single(_state.Sync(Make.Sync(Make.Peer(2), 2, [], []).Pulling(_manifest)).Swarms);
        Assert.Equal("n1", Assert.Single(asked.Neighbours!.Value).Name);
        var again = Assert.Single(_state.Sync(Make.Sync(Make.Peer(2), 3, [], []) with { Pulls = [new SwarmPull(_manifest.Digest, asked.Number, 0, 0, "")] }).Swarms);
        Assert.Equal((asked.Number, false), (again.Number, again.Neighbours.HasValue));
        Assert.True(Assert.Single(_state.Sync(Make.Sync(Make.Peer(2), 4, [], []) with { Pulls = [new SwarmPull(_manifest.Digest, asked.Number + 5, 0, 0, "")] }).Swarms).Neighbours.HasValue);
    }

    [Fact]
    public void Neighbours_stay_the_same_for_a_lease_unless_one_of_them_goes()
    {
        for (var i = 1; i < 200; i++)
        {
            _state.Sync(Make.FullSync(Make.Peer(i), 1, Make.ShardsOf(_manifest).Take(i % 100), _manifest));
        }

        var first = Assert.Single(_state.Sync(Make.FullSync(Make.Peer(0), 1, [], _manifest).Pulling(_manifest)).Swarms);
        _state.Sync(Make.FullSync(Make.Peer(500), 1, Make.ShardsOf(_manifest), _manifest));
        Assert.Equal(first.Number, NumberAfter(2));

        _state.Sync(Make.Leave(first.Neighbours!.Value[3], 2));
        var second = NumberAfter(3);
        Assert.NotEqual(first.Number, second);
        _time.Advance(Lease - TimeSpan.FromMilliseconds(1));
        Assert.Equal(second, NumberAfter(4));
        _time.Advance(TimeSpan.FromMilliseconds(1));
        Assert.NotEqual(second, NumberAfter(5));

        long NumberAfter(int sequence)
        {
            for (var i = 1; i < 200; i++)
            {
                _state.Sync(Make.Sync(Make.Peer(i), sequence, [], []));
            }

            return Assert.Single(_state.Sync(Make.Sync(Make.Peer(0), sequence, [], []).Pulling(_manifest)).Swarms).Number;
        }
    }

    [Fact]
    public void Holders_of_shared_shards_are_neighbours_in_a_swarm_that_they_never_entered()
    {
        ShardInfo[] shards = [.. _manifest.Shards.Take(90), .. Make.Manifest("new", 10).Shards];
        var second = Manifest.Create(Manifest.DefaultMaxShardBytes, [("model.bin", 100_000L, shards)], [], []);
        _state.AddSwarm(second.Digest, second.Shards);
        _state.Sync(Make.FullSync(Make.Peer(1), 1, Make.ShardsOf(_manifest), _manifest));
        _state.Sync(Make.FullSync(Make.Peer(2), 1, [], _manifest));
        _state.Sync(Make.FullSync(Make.Peer(3), 1, Make.ShardsOf(_manifest).Skip(90), _manifest));

        var view = Assert.Single(_state.Sync(Make.FullSync(Make.Peer(4), 1, [], second).Pulling(second)).Swarms);

        Assert.Equal((1, "n1"), (view.Peers, Assert.Single(view.Neighbours!.Value).Name));
    }

    [Fact]
    public void Swarms_that_are_made_at_the_same_time_are_related_each_to_each()
    {
        // As many as each other one is looked at for neighbours.
        Manifest[] versions = [.. Enumerable.Range(0, 5).Select(i => Manifest.Create(
            Manifest.DefaultMaxShardBytes, [("model.bin", 50_000L, [.. _manifest.Shards.Take(40), .. Make.Manifest($"version {i}", 10).Shards])], [], []))];
        for (var round = 0; round < 50; round++)
        {
            var state = new SwarmState(Lease, neighbours: 16, _time, new Random(round));
            Parallel.ForEach(versions, version => state.AddSwarm(version.Digest, version.Shards));
            foreach (var (sequence, held) in versions.Index())
            {
                state.Sync(Make.FullSync(Make.Peer(0), 1 + sequence, Make.ShardsOf(held), held));
                foreach (var wanted in versions.Where(version => version != held))
                {
                    var view = Assert.Single(state.Sync(Make.FullSync(Make.Peer(1), 1, [], wanted).Pulling(wanted)).Swarms);
                    Assert.Equal("n0", Assert.Single(view.Neighbours!.Value).Name);
                    state.Sync(Make.Leave(Make.Peer(1), 2));
                }
            }
        }
    }

    [Fact]
    public void Near_peers_are_found_among_ten_thousand()
    {
        for (var i = 1; i < 10_000; i++)
        {
            _state.Sync(Make.FullSync(Make.Peer(i, i is 77 or 78 ? "h" : "", ("rack", $"r{i / 20}")), 1, [], _manifest));
        }

        var view = Assert.Single(_state.Sync(Make.FullSync(Make.Peer(0, "h", ("rack", "r100")), 1, [], _manifest).Pulling(_manifest)).Swarms);

        Assert.Equal(10_000, view.Peers);
        var near = view.Neighbours!.Value.Where(peer => peer.HostId == "h" || peer.Labels["rack"] == "r100").Select(peer => peer.HostId == "h").ToList();
        Assert.InRange(near.Count, 4, 10);
        Assert.Equal(2, near.Count(isHost => isHost));
    }

    [Fact]
    public void Pace_slows_down_so_that_any_number_of_peers_asks_a_thousand_times_a_second()
    {
        var pace = new SyncPace(Lease);
        Assert.Equal((Lease, Lease / 10), pace.For(1));
        Assert.Equal((Lease, Lease / 10), pace.For(1000));
        Assert.Equal((TimeSpan.FromSeconds(30), TimeSpan.FromSeconds(10)), pace.For(10_000));
    }

    [Fact]
    public void Neighbours_are_as_many_as_asked_for_never_oneself_and_the_same_for_the_same_seed()
    {
        var first = NeighbourNames(seed: 7);
        Assert.Equal(16, first.Count);
        Assert.Equal(16, first.Distinct().Count());
        Assert.DoesNotContain("n0", first);
        Assert.Equal(first, NeighbourNames(seed: 7));
        Assert.NotEqual(first, NeighbourNames(seed: 8));
    }

    [Fact]
    public void Swarm_without_members_goes_after_a_while_and_takes_its_ordinals_along()
    {
        _state.Sync(Make.FullSync(Make.Peer(1), 1, Make.ShardsOf(_manifest), _manifest));
        _time.Advance(Lease + SwarmState.Linger);
        Assert.Equal(0, _state.Counts().Swarms);
        Assert.Null(_state.Health(_manifest.Digest));
    }

    private static bool IsScarce(SyncResponse answer, int shard) => (answer.Scarce!.Shards.Span[shard / 8] & (1 << (shard % 8))) != 0;

    private List<string> NeighbourNames(int seed)
    {
        var state = new SwarmState(Lease, neighbours: 16, _time, new Random(seed));
        state.AddSwarm(_manifest.Digest, _manifest.Shards);
        for (var i = 1; i < 200; i++)
        {
            state.Sync(Make.FullSync(Make.Peer(i), 1, Make.ShardsOf(_manifest).Take(i % 100), _manifest));
        }

        var view = Assert.Single(state.Sync(Make.FullSync(Make.Peer(0), 1, [], _manifest).Pulling(_manifest)).Swarms);
        Assert.Equal(200, view.Peers);
        return [.. view.Neighbours!.Value.Select(neighbour => neighbour.Name)];
    }
}
