using P2PWeights.Transfer.Swarms;

namespace P2PWeights.Transfer.Tests.Swarms;

public sealed class HedgePlannerTests
{
    private const int Size = 1 << 20;
    private static readonly TimeSpan Now = TimeSpan.FromSeconds(100);

    [Theory]
    [InlineData(1.0, 10.0, true)]
    [InlineData(1.0, 1.9, false)]
    [InlineData(10.0, 10.0, false)]
    [InlineData(0.1, 0.1, false)]
    public void Shard_is_asked_for_again_only_where_the_second_source_is_more_than_twice_as_fast(double slowMiB, double idleMiB, bool isHedged)
    {
        // The slow source was asked just now, and has one shard to send.
        var flight = Flight(Source(slowMiB), 0, agoSeconds: 0);
        var choice = NewPlanner().Choose([flight], [Source(idleMiB)], 0, Now);
        Assert.Equal(isHedged, choice is not null);
    }

    [Fact]
    public void Gain_of_less_than_a_fifth_of_a_second_is_not_worth_a_shard()
    {
        var flight = Flight(Source(6), 0, agoSeconds: 0);
        Assert.Null(NewPlanner().Choose([flight], [Source(1000)], 0, Now));
    }

    [Fact]
    public void Shard_that_is_nearly_through_is_not_asked_for_again()
    {
        // Ten seconds were expected, and nine and a half are over.
        var flight = Flight(Source(0.1), 0, agoSeconds: 9.5);
        Assert.Null(NewPlanner().Choose([flight], [Source(1)], 0, Now));
        Assert.NotNull(NewPlanner().Choose([flight with { Since = Now - TimeSpan.FromSeconds(5) }], [Source(1)], 0, Now));
    }

    [Fact]
    public void Shard_that_is_long_overdue_is_asked_for_again_however_fast_its_source_was()
    {
        var stuck = Flight(Source(100), 0, agoSeconds: 0.4);
        Assert.NotNull(NewPlanner().Choose([stuck], [Source(100)], 0, Now));
    }

    [Fact]
    public void Largest_gain_and_fastest_source_come_first()
    {
        var (slow, slower, fast, faster) = (Source(1), Source(0.1), Source(50), Source(100));
        var choice = NewPlanner().Choose([Flight(slow, 0, 0), Flight(slower, 1, 0)], [fast, faster], 0, Now);
        Assert.Equal((slower, faster), (choice?.Slow.Source, choice?.Second));
    }

    [Fact]
    public void Source_that_does_not_hold_the_shard_or_has_it_already_is_no_second()
    {
        var other = Source(100);
        other.Held = new ShardBitmap(64);
        var slow = Source(0.1);
        Assert.Null(NewPlanner().Choose([Flight(slow, 0, 0)], [slow, other], 0, Now));
    }

    [Fact]
    public void Sources_whose_rates_nobody_knows_are_tried_against_each_other_after_a_second()
    {
        Assert.Null(NewPlanner().Choose([Flight(Source(0), 0, agoSeconds: 0.9)], [Source(0)], 0, Now));
        Assert.NotNull(NewPlanner().Choose([Flight(Source(0), 0, agoSeconds: 1.1)], [Source(0)], 0, Now));
        Assert.NotNull(NewPlanner().Choose([Flight(Source(0), 0, agoSeconds: 0.5)], [Source(0)], 100 * Size, Now));
    }

    [Fact]
    public void What_hedges_may_waste_stays_within_a_twentieth_of_the_pull()
    {
        // Forty shards: two may be out twice at a time.
        var hedges = new HedgePlanner(40L * Size, Size);
        var flights = Enumerable.Range(0, 8).Select(ordinal => Flight(Source(0.1), ordinal, 0)).ToList();
        List<PlannedSource> idle = [.. Enumerable.Range(0, 8).Select(_ => Source(100))];
        List<Flight> begun = [];
        while (hedges.Choose([.. flights.Except(begun)], idle, 0, Now) is var (slow, _))
        {
            hedges.Begun(slow);
            begun.Add(slow);
        }

        Assert.Equal(2, begun.Count);

        // The first lost after a second at 0.1 MiB/s: next to nothing is spent, and another one may begin.
        hedges.Ended(begun[0], isHere: true, wasReceived: false, Now + TimeSpan.FromSeconds(1));
        Assert.Equal(0.1 * Size, hedges.WastedBytes, 1.0);
        Assert.Null(hedges.Choose([.. flights.Except(begun)], idle, 0, Now));

        // The second one's loser had sent everything: that one was for nothing, and all there was to spend.
        hedges.Ended(begun[1], isHere: true, wasReceived: true, Now);
        Assert.Equal(1.1 * Size, hedges.WastedBytes, 1.0);
        Assert.Null(hedges.Choose([.. flights.Except(begun)], idle, 0, Now));
    }

    [Fact]
    public void Hedge_whose_first_fetch_failed_costs_nothing()
    {
        var hedges = NewPlanner();
        var flight = Flight(Source(0.1), 0, 0);
        hedges.Begun(flight);
        hedges.Ended(flight, isHere: false, wasReceived: false, Now + TimeSpan.FromSeconds(9));
        Assert.Equal(0, hedges.WastedBytes);
        Assert.NotNull(hedges.Choose([flight with { Ordinal = 1 }], [Source(100)], 0, Now));
    }

    [Fact]
    public void Pull_of_one_shard_may_ask_for_it_twice_and_for_none_after_that_was_wasted()
    {
        var hedges = NewPlanner();
        var flight = Flight(Source(0.1), 0, 0);
        Assert.NotNull(hedges.Choose([flight], [Source(100)], 0, Now));
        hedges.Begun(flight);
        hedges.Ended(flight, isHere: true, wasReceived: true, Now);
        Assert.Null(hedges.Choose([flight with { Ordinal = 1 }], [Source(100)], 0, Now));
    }

    private static HedgePlanner NewPlanner() => new(Size, Size);

    private static Flight Flight(PlannedSource source, int ordinal, double agoSeconds) =>
        new(source, ordinal, Size, Now - TimeSpan.FromSeconds(agoSeconds), Size);

    /// <summary>A source that holds everything and sends so many MiB per second; 0 for one that nothing is known of.</summary>
    private static PlannedSource Source(double mibPerSecond)
    {
        var source = new PlannedSource(Guid.NewGuid(), 64, Nearness.Elsewhere);
        for (var ordinal = 0; ordinal < 64; ordinal++)
        {
            source.Held[ordinal] = true;
        }

        if (mibPerSecond > 0)
        {
            source.Ask(Size, default);
            source.Progress((long)(mibPerSecond * Size), TimeSpan.FromSeconds(1));
            source.Release(Size);
        }

        return source;
    }
}
