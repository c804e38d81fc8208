using P2PWeights.Testing;

namespace P2PWeights.Transfer.Tests.Swarms;

/// <summary>What the planner promises about whole pulls, in virtual time: the numbers are exact, and the same on every machine.</summary>
public sealed class SimulatedPullTests
{
    private const int Shard = 16 << 20;
    private const double Fast = 1e9;

    private readonly Seeded _seeded = new();

    [Theory]
    [InlineData(256)]
    [InlineData(1024)]
    public void Source_at_a_hundredth_of_the_speed_among_eight_costs_at_most_a_fifth(int shards)
    {
        for (var run = 0; run < 5; run++)
        {
            var seed = _seeded.Random.Next();
            var even = NewPull(seed, shards, 8);
            var uneven = NewPull(seed, shards, 7);
            uneven.Add(Fast / 100);

            var (without, with) = (even.Run(), uneven.Run());

            Assert.True(with <= 1.2 * without, $"{with / without:0.000} x: {uneven}; all fast: {even}");
            Assert.True(uneven.WastedPart < 0.05, uneven.ToString());
        }
    }

    [Fact]
    public void Sources_of_different_speed_all_give_what_they_can()
    {
        var pull = NewPull(_seeded.Random.Next(), 512, 0);
        for (var i = 1; i <= 8; i++)
        {
            pull.Add(i * Fast / 8);
        }

        var took = pull.Run();

        var bound = 512.0 * Shard / (Enumerable.Range(1, 8).Sum() * Fast / 8);
        Assert.True(took.TotalSeconds <= 1.15 * bound, $"{took.TotalSeconds / bound:0.000} x the bound: {pull}");
        Assert.True(pull.WastedPart < 0.05, pull.ToString());
    }

    [Fact]
    public void Two_sources_on_a_busy_machine_are_not_hedged_against_each_other()
    {
        // Rates that jump between a fifth and the whole, a tenth of a second each: what a loaded host looks like.
        for (var run = 0; run < 20; run++)
        {
            var seeded = new Seeded(_seeded.Random.Next());
            var pull = new SimulatedPull(seeded, 64, Shard);
            var sources = new[] { pull.Add(Fast), pull.Add(Fast) };
            pull.EachStep = () =>
            {
                if (pull.Now.TotalMilliseconds % 100 == 0)
                {
                    Array.ForEach(sources, source => source.BytesPerSecond = Fast * (0.2 + (0.8 * seeded.Random.NextDouble())));
                }
            };
            pull.Run();
            Assert.True(pull.WastedPart <= 0.05, pull.ToString());
        }
    }

    [Fact]
    public void Source_that_stops_sending_before_the_end_costs_less_than_its_stall()
    {
        var pull = NewPull(_seeded.Random.Next(), 256, 3);
        var stopping = pull.Add(Fast);
        pull.EachStep = () => stopping.BytesPerSecond = pull.Now > TimeSpan.FromMilliseconds(500) ? 0 : Fast;

        var took = pull.Run();

        // Half a second with four sources and the rest with three; waiting for the stall would be two seconds more.
        var bound = 0.5 + (((256.0 * Shard) - (0.5 * 4 * Fast)) / (3 * Fast));
        Assert.True(took.TotalSeconds < bound + 0.5, pull.ToString());
        Assert.True(pull.Hedges > 0, pull.ToString());
    }

    [Fact]
    public void Source_killed_in_the_middle_costs_what_was_on_its_way_and_no_more()
    {
        var pull = NewPull(_seeded.Random.Next(), 256, 3);
        var killed = pull.Add(Fast);
        var lost = 0;
        pull.EachStep = () =>
        {
            if (pull.Now == TimeSpan.FromMilliseconds(300))
            {
                lost = killed.Planned.Outstanding;
                pull.Kill(killed);
            }
        };

        pull.Run();

        // Two lanes, so at most two shards had begun.
        Assert.True(lost > 0 && pull.WastedBytes - (pull.Hedges * Shard) <= 2 * Shard, $"{lost} lost: {pull}");
        Assert.True(pull.Failures <= lost + pull.Hedges, $"{lost} lost, {pull.Failures} failed: {pull}");
    }

    [Theory]
    [InlineData(1 << 20)]
    [InlineData(16 << 20)]
    public void Source_far_away_is_kept_busy(int shardBytes)
    {
        // 200 ms away, 250 MB/s: 50 MB must be on their way at any time.
        var pull = new SimulatedPull(new Seeded(_seeded.Random.Next()), (int)((4L << 30) / shardBytes), shardBytes);
        pull.Add(Fast / 4, TimeSpan.FromMilliseconds(200));

        var took = pull.Run();

        var bound = (4L << 30) / (Fast / 4);
        Assert.True(took.TotalSeconds <= 1.1 * bound, $"{took.TotalSeconds / bound:0.000} x the bound: {pull}");
    }

    private static SimulatedPull NewPull(int seed, int shards, int sources)
    {
        var pull = new SimulatedPull(new Seeded(seed), shards, Shard);
        for (var i = 0; i < sources; i++)
        {
            pull.Add(Fast);
        }

        return pull;
    }
}
