using System.Xml.Linq;

namespace P2PWeights.Sim.Tests;

/// <summary>What the policy promises about whole swarms, in virtual time: a run depends on its options alone, so the numbers are the same on every machine.</summary>
public sealed class SimulationTests
{
    private static readonly SimOptions Swarm = new() { Peers = 128, Shards = 512, Seed = 7 };

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void Swarm_finishes_near_the_bound_and_the_publisher_sends_little_more_than_one_copy(int seed)
    {
        var report = Run(Swarm with { Seed = seed });
        Assert.Equal(128, report.Finishes.Count);
        Assert.True(report.LastOverBound is >= 1 and <= 1.10, Text(report));
        Assert.InRange(report.PublisherCopies, 1, 1.15);
    }

    [Fact]
    public void Same_seed_gives_the_same_run_and_another_gives_another()
    {
        var small = Swarm with { Peers = 20, Shards = 50 };
        var (one, again, other) = (Run(small), Run(small), Run(small with { Seed = 8 }));
        Assert.Equal(one.Events, again.Events);
        Assert.Equal(one.Progress, again.Progress);
        Assert.Equal(one.Finishes, again.Finishes);
        Assert.NotEqual(one.Finishes, other.Finishes);
    }

    [Theory]
    [InlineData(1, 1)]
    [InlineData(1, 100)]
    [InlineData(2, 1)]
    [InlineData(5, 3)]
    public void Smallest_swarms_finish(int peers, int shards)
    {
        var report = Run(Swarm with { Peers = peers, Shards = shards });
        Assert.Equal(peers, report.Finishes.Count);
        Assert.True(report.LastOverBound >= 1, Text(report));
    }

    [Fact]
    public void One_puller_and_one_publisher_are_as_fast_as_the_card()
    {
        var report = Run(Swarm with { Peers = 1 });
        Assert.True(report.LastOverBound <= 1.02, Text(report));
        Assert.Equal(1, report.PublisherCopies, 3);
    }

    [Fact]
    public void A_tenth_of_slow_peers_costs_the_others_at_most_a_tenth()
    {
        var even = Run(Swarm);
        var uneven = Run(Swarm with { SlowPart = 0.1 });
        var fast = uneven.Finishes.Where(finish => !finish.IsSlow).ToList();
        Assert.Equal(12, uneven.Finishes.Count(finish => finish.IsSlow));
        var (before, after) = (Last(even.Finishes), Last(fast));
        Assert.True(after <= 1.10 * before, $"{after} after {before}; {Text(uneven)}");
    }

    [Fact]
    public void Peers_killed_half_way_cost_the_others_little()
    {
        var report = Run(Swarm with { Killed = 5 });
        Assert.Equal(123, report.Finishes.Count);
        Assert.True(report.LastOverBound <= 1.15, Text(report));
    }

    [Fact]
    public void Publisher_killed_when_every_shard_has_left_it_leaves_a_swarm_that_finishes()
    {
        var report = Run(Swarm with { KillPublishers = true });
        Assert.Equal(128, report.Finishes.Count);
        Assert.InRange(report.PublisherCopies, 1, 1.08);
        Assert.True(report.LastOverBound <= 1.15, Text(report));
    }

    [Fact]
    public void Shards_that_died_with_their_last_holders_are_told_at_once()
    {
        // With so few peers some shards are held by those alone that are killed.
        var options = Swarm with { Peers = 4, Shards = 8, Killed = 3, KillPublishers = true };
        var lost = Enumerable.Range(1, 12).Count(seed => Record.Exception(() => Run(options with { Seed = seed })) is LostShardsException);
        Assert.InRange(lost, 1, 12);
    }

    [Fact]
    public void Late_peers_do_not_starve()
    {
        var report = Run(Swarm with { Late = 8 });
        var late = report.Finishes.Where(finish => finish.IsLate).ToList();
        Assert.Equal(8, late.Count);
        Assert.True(late.Max(finish => finish.OverBound) <= 1.25, Text(report));
        Assert.True(report.Finishes.Where(finish => !finish.IsLate).Max(finish => finish.OverBound) <= 1.15, Text(report));
    }

    [Fact]
    public void Publishers_that_hold_a_part_each_bring_a_whole()
    {
        var report = Run(Swarm with { Publishers = 4 });
        Assert.Equal(128, report.Finishes.Count);
        Assert.True(report.LastOverBound <= 1.10, Text(report));
    }

    [Fact]
    public void What_the_peers_hold_of_another_version_is_not_sent()
    {
        var report = Run(Swarm with { HeldPart = 0.9, Late = 4 });
        Assert.Equal(132, report.Finishes.Count);
        Assert.InRange(report.PublisherCopies, 0.1, 0.2);
        var needed = ((128 * 52L) + (4 * 512)) * Swarm.ShardBytes;
        Assert.InRange(report.BytesSent, needed, (long)(1.02 * needed));
    }

    [Fact]
    public void Oversubscribed_racks_are_crossed_by_fewer_bytes_than_by_chance()
    {
        var report = Run(Swarm with { Racks = 8, Oversubscription = 4 });
        Assert.Equal(128, report.Finishes.Count);
        Assert.True(report.BytesAcrossRacks < 0.6 * report.BytesSent, Text(report));
    }

    [Fact]
    public void Chart_is_a_picture_of_the_whole_run()
    {
        var report = Run(Swarm with { Peers = 20, Shards = 50 });
        Assert.Equal((1.0, 20), (report.Progress[^1].Held, report.Progress[^1].Finished));
        var svg = XDocument.Parse(ProgressChart.Draw(report)).Root!;
        Assert.Equal(3, svg.Elements().Count(element => element.Name.LocalName == "polyline"));
    }

    [Fact]
    public void Options_that_cannot_be_simulated_are_refused_by_name()
    {
        Assert.Contains("peers", Assert.Throws<ArgumentException>(() => new Simulation(Swarm with { Peers = 0 })).Message, StringComparison.Ordinal);
        Assert.Contains("between 1 and 100,000", Assert.Throws<ArgumentException>(() => new Simulation(Swarm with { Peers = 1_000_000_000 })).Message, StringComparison.Ordinal);
        Assert.Contains("at most 100,000,000", Assert.Throws<ArgumentException>(() => new Simulation(Swarm with { Peers = 90_000, Shards = 60_000 })).Message, StringComparison.Ordinal);
        Assert.Contains("held part", Assert.Throws<ArgumentException>(() => new Simulation(Swarm with { HeldPart = 1 })).Message, StringComparison.Ordinal);
    }

    private static SimReport Run(SimOptions options) => new Simulation(options).Run(CancellationToken.None);

    private static TimeSpan Last(IEnumerable<SimFinish> finishes) => finishes.Max(finish => finish.Took);

    private static string Text(SimReport report) =>
        $"last {report.LastOverBound:0.000}, p50 {report.P50OverBound:0.000}, {report.PublisherCopies:0.000} copies, {report.BytesAcrossRacks >> 20} of {report.BytesSent >> 20} MiB across racks; {report.Options}";
}
