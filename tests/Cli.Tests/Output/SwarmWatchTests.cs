using P2PWeights.Cli.Watching;
using P2PWeights.Tracker;

namespace P2PWeights.Cli.Tests.Output;

public sealed class SwarmWatchTests
{
    private const long GB = 1_000_000_000;

    [Fact]
    public void Bound_is_what_the_furthest_behind_misses_at_the_best_rate_seen()
    {
        var watch = new SwarmWatch(rate: 0, listed: 20);
        watch.Look(TimeSpan.Zero, Swarm(Pulling("fast", 2 * GB, 4 * GB), Pulling("slow", 1 * GB, 1 * GB)));
        var tick = watch.Look(TimeSpan.FromSeconds(1), Swarm(Pulling("fast", 6 * GB, 2 * GB), Pulling("slow", 2 * GB, 1 * GB)));

        Assert.Equal((4 * GB, 8 * GB, false), (tick.PossibleBytesPerSecond, tick.MissingBytes, tick.IsOver));
        Assert.Equal((TimeSpan.FromSeconds(2), TimeSpan.FromSeconds(8)), (tick.Bound, tick.Expected));
        Assert.Equal([2.0, 4.0], tick.Rows.Select(row => row.OverBound));
        Assert.Equal([0.6, 0.2], tick.Rows.Select(row => row.Fraction));
        Assert.Equal(
            "m@v1  9.31 GiB  2 nodes: 0 complete, 2 pulling  bound 2.0 s (7.45 GiB missing at 4.00 GB/s, the best rate seen), at the rates of now 8.0 s: 4.0 x the bound",
            SwarmTexts.Summary(tick));
    }

    [Fact]
    public void Nodes_that_are_not_listed_count_for_the_rates_and_the_bound()
    {
        var tick = new SwarmWatch(rate: 0, listed: 1).Look(TimeSpan.Zero, Swarm(Pulling("slow", 2 * GB, 1 * GB), Pulling("fast", 6 * GB, 4 * GB)));

        Assert.Equal("slow", Assert.Single(tick.Rows).Member.Name);
        Assert.Equal((4 * GB, TimeSpan.FromSeconds(2), 4.0), (tick.PossibleBytesPerSecond, tick.Bound, tick.Rows[0].OverBound));
    }

    [Fact]
    public void Given_rate_is_the_bound_whatever_was_seen()
    {
        var tick = new SwarmWatch(10 * GB, 20).Look(TimeSpan.Zero, Swarm(Pulling("a", 0, 0), Pulling("b", 5 * GB, 20 * GB)));

        Assert.Equal((TimeSpan.FromSeconds(1), null), (tick.Bound, tick.Expected));
        Assert.EndsWith("missing at 10.00 GB/s, as given), and not all nodes move", SwarmTexts.Summary(tick), StringComparison.Ordinal);
    }

    [Fact]
    public void Watch_is_over_when_nobody_pulls_any_more()
    {
        var watch = new SwarmWatch(0, 20);
        Assert.False(watch.Look(TimeSpan.Zero, Swarm(Complete("publisher"))).IsOver);
        Assert.False(watch.Look(TimeSpan.FromSeconds(20), Swarm(Complete("publisher"), Pulling("a", 0, 0))).IsOver);
        Assert.True(watch.Look(TimeSpan.FromSeconds(21), Swarm(Complete("publisher"), Complete("a"))).IsOver);
    }

    [Fact]
    public void Watch_of_a_swarm_that_never_pulls_ends_after_a_while()
    {
        var watch = new SwarmWatch(0, 20);
        Assert.False(watch.Look(SwarmWatch.Patience - TimeSpan.FromTicks(1), Swarm(Complete("publisher"))).IsOver);
        Assert.True(watch.Look(SwarmWatch.Patience, Swarm(Complete("publisher"))).IsOver);
    }

    [Fact]
    public void Tracker_that_has_forgotten_its_peers_does_not_end_the_watch()
    {
        var watch = new SwarmWatch(0, 20);
        watch.Look(TimeSpan.Zero, Swarm(Complete("publisher"), Pulling("a", 0, GB)));
        Assert.False(watch.Look(TimeSpan.FromSeconds(1), Swarm()).IsOver);
        Assert.False(watch.Look(TimeSpan.FromSeconds(2), Swarm(Complete("publisher"))).IsOver);
        Assert.True(watch.Look(SwarmWatch.Patience, Swarm(Complete("publisher"))).IsOver);
    }

    private static SwarmStatus Swarm(params SwarmMember[] members) => new(
        "m@v1", default, 10 * GB, 100, 100, members.Length, members.Count(member => member.Shards == 100), members.Count(member => member.Pulling), [.. members]);

    private static SwarmMember Pulling(string name, long done, long rate) =>
        new(Guid.NewGuid(), name, (int)(done / GB), Pulling: true, done, 10 * GB, rate, "tcp", 0, 500);

    private static SwarmMember Complete(string name) => new(Guid.NewGuid(), name, 100, Pulling: false, 0, 0, 0, "", GB, 500);
}
