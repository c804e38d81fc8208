using P2PWeights.Store.Content;
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
        var answer = _state.Sync(Make.Sync(Make.Peer(1), 5, Make.ShardsOf(_manifest), [], _manifest));

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

        Assert.True(_state.Sync(Make.Sync(Make.Peer(1), 3, shards.Skip(1), [], _manifest)).Resync);
        Assert.Equal(1, _state.Health(_manifest.Digest)!.Value.AvailableShards);
        Assert.False(_state.Sync(Make.Sync(Make.Peer(1), 2, shards.Skip(1), [], _manifest)).Resync);
        Assert.Equal(100, _state.Health(_manifest.Digest)!.Value.AvailableShards);
    }

    [Fact]
    public void Sync_same_number_again_is_the_same_sync_sent_twice()
    {
        var shards = Make.ShardsOf(_manifest);
        _state.Sync(Make.FullSync(Make.Peer(1), 1, shards.Take(50), _manifest));
        var sync = Make.Sync(Make.Peer(1), 2, shards.Skip(50), shards.Take(10), _manifest);

        Assert.False(_state.Sync(sync).Resync);
        Assert.False(_state.Sync(sync).Resync);

        Assert.Equal(90, _state.Health(_manifest.Digest)!.Value.AvailableShards);
        Assert.Equal(1, Rarity(_state.Sync(Make.FullSync(Make.Peer(2), 1, [], _manifest)), shard: 99));
    }

    [Fact]
    public void Sync_full_replaces_what_was_known()
    {
        var shards = Make.ShardsOf(_manifest);
        _state.Sync(Make.FullSync(Make.Peer(1), 1, shards.Take(60), _manifest));
        _state.Sync(Make.FullSync(Make.Peer(1), 9, shards.Skip(50), _manifest));

        var view = Assert.Single(_state.Sync(Make.FullSync(Make.Peer(2), 1, [], _manifest)).Swarms);
        Assert.Equal(Enumerable.Range(0, 100).Select(i => (byte)(i < 50 ? 0 : 1)), view.Rarity.ToArray());
        Assert.Equal(Enumerable.Range(50, 50), Ordinals(Assert.Single(view.Neighbours).Held));
    }

    [Fact]
    public void Sync_leaving_forgets_the_peer_at_once()
    {
        _state.Sync(Make.FullSync(Make.Peer(1), 1, Make.ShardsOf(_manifest), _manifest));
        var answer = _state.Sync(Make.Leave(Make.Peer(1), 2));

        Assert.False(answer.Resync);
        Assert.Empty(answer.Swarms);
        Assert.Empty(_state.Peers());
        Assert.Equal(new SwarmHealth(0, 100, 0), _state.Health(_manifest.Digest));
    }

    [Fact]
    public void Lease_that_runs_out_forgets_the_peer_and_a_sync_in_time_keeps_it()
    {
        _state.Sync(Make.FullSync(Make.Peer(1), 1, Make.ShardsOf(_manifest), _manifest));
        _state.Sync(Make.FullSync(Make.Peer(2), 1, Make.ShardsOf(_manifest), _manifest));
        _time.Advance(Lease / 2);
        _state.Sync(Make.Sync(Make.Peer(2), 2, [], [], _manifest));
        Assert.Equal(new SwarmHealth(100, 0, 2), _state.Health(_manifest.Digest));

        _time.Advance(Lease / 2);
        Assert.Equal("n2", Assert.Single(_state.Peers()).Peer.Name);
        Assert.Equal(new SwarmHealth(100, 0, 1), _state.Health(_manifest.Digest));
        Assert.True(_state.Sync(Make.Sync(Make.Peer(1), 2, [], [], _manifest)).Resync);

        _time.Advance(Lease);
        Assert.Empty(_state.Peers());
        Assert.Equal(0, _state.Counts().DistinctShards);
    }

    [Fact]
    public void Sync_swarm_without_manifest_is_passed_over_until_the_manifest_is_there()
    {
        var later = Make.Manifest("later", 5);
        Assert.Empty(_state.Sync(Make.FullSync(Make.Peer(1), 1, Make.ShardsOf(later), later)).Swarms);
        Assert.Null(_state.Health(later.Digest));

        _state.AddSwarm(later.Digest, later.Shards);
        var view = Assert.Single(_state.Sync(Make.Sync(Make.Peer(1), 2, [], [], later)).Swarms);
        Assert.Equal((1, 5), (view.Peers, view.Rarity.Length));
        Assert.Equal(new SwarmHealth(5, 0, 1), _state.Health(later.Digest));
    }

    [Fact]
    public void Rarity_counts_to_255_and_no_further()
    {
        for (var i = 0; i < 300; i++)
        {
            _state.Sync(Make.FullSync(Make.Peer(i), 1, Make.ShardsOf(_manifest).Take(1)));
        }

        var answer = _state.Sync(Make.FullSync(Make.Peer(1000), 1, [], _manifest));
        Assert.Equal(255, Rarity(answer, shard: 0));
        Assert.Equal(0, Rarity(answer, shard: 1));
        for (var i = 0; i < 50; i++)
        {
            _state.Sync(Make.Leave(Make.Peer(i), 2));
        }

        Assert.Equal(250, Rarity(_state.Sync(Make.Sync(Make.Peer(1000), 2, [], [], _manifest)), shard: 0));
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

    private static byte Rarity(SyncResponse answer, int shard) => Assert.Single(answer.Swarms).Rarity.Span[shard];

    private static IEnumerable<int> Ordinals(ReadOnlyMemory<byte> held) =>
        Enumerable.Range(0, held.Length * 8).Where(i => (held.Span[i / 8] & (1 << (i % 8))) != 0);

    private List<string> NeighbourNames(int seed)
    {
        var state = new SwarmState(Lease, neighbours: 16, _time, new Random(seed));
        state.AddSwarm(_manifest.Digest, _manifest.Shards);
        for (var i = 1; i < 200; i++)
        {
            state.Sync(Make.FullSync(Make.Peer(i), 1, Make.ShardsOf(_manifest).Take(i % 100), _manifest));
        }

        var view = Assert.Single(state.Sync(Make.FullSync(Make.Peer(0), 1, [], _manifest)).Swarms);
        Assert.Equal(200, view.Peers);
        return [.. view.Neighbours.Select(neighbour => neighbour.Peer.Name)];
    }
}
