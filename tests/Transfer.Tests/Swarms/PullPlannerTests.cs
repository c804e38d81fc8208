using System.Collections.Immutable;
using P2PWeights.Store.Content;
using P2PWeights.Testing;
using P2PWeights.Transfer.Swarms;

namespace P2PWeights.Transfer.Tests.Swarms;

public sealed class PullPlannerTests
{
    private const int Size = 1 << 20;
    private static readonly TimeSpan Later = TimeSpan.FromSeconds(10);

    private readonly Seeded _seeded = new();

    [Fact]
    public void Rarest_shard_of_a_source_is_asked_for_first()
    {
        var planner = NewPlanner(5);
        var a = Add(planner, 0, 1, 2, 3);
        Add(planner, 0, 1, 3);
        Assert.Equal(2, Drain(planner, default).First(asked => asked.Source == a).Ordinal);
    }

    [Fact]
    public void Shard_on_its_way_is_not_asked_of_a_second_source()
    {
        var planner = NewPlanner(6);
        Add(planner, 0, 1, 2, 3, 4, 5);
        Add(planner, 0, 1, 2, 3, 4, 5);
        var asked = Drain(planner, default);
        Assert.Equal([0, 1, 2, 3, 4, 5], asked.Select(a => a.Ordinal).Order());
    }

    [Fact]
    public void Sources_share_the_load()
    {
        var planner = NewPlanner(8);
        Add(planner, [.. Enumerable.Range(0, 8)]);
        Add(planner, [.. Enumerable.Range(0, 8)]);
        Assert.Equal([4, 4], Drain(planner, default).GroupBy(a => a.Source).Select(g => g.Count()));
    }

    [Fact]
    public void Nodes_that_start_together_ask_in_different_orders()
    {
        var orders = Enumerable.Range(0, 8).Select(seed =>
        {
            var planner = NewPlanner(64, random: new Random(seed));
            Add(planner, [.. Enumerable.Range(0, 64)]);
            return planner.Next(default)!.Value.Ordinal;
        });
        Assert.True(orders.Distinct().Count() > 3);
    }

    [Fact]
    public void Window_of_a_pull_bounds_what_is_on_its_way()
    {
        var planner = NewPlanner(100, windowBytes: 5 * Size);
        for (var i = 0; i < 10; i++)
        {
            Add(planner, [.. Enumerable.Range(0, 100)]);
        }

        var asked = Drain(planner, default);
        Assert.Equal(5, asked.Count);
        planner.Received(asked[0]);
        Assert.Null(planner.Next(default));
        planner.Done(asked[0]);
        Assert.NotNull(planner.Next(default));
    }

    [Fact]
    public void Window_of_a_source_follows_its_rate()
    {
        var planner = NewPlanner(100);
        var source = Add(planner, [.. Enumerable.Range(0, 100)]);
        Assert.Equal(4, Drain(planner, default).Count);
        source.Progress(10 * Size, TimeSpan.FromMilliseconds(500));
        Assert.Equal(20 * Size, source.Rate);

        // Two for the lanes, and what comes in a fifth of a second and a round trip that nobody measured yet; less the four.
        Assert.Equal(2 + 5 - 4, Drain(planner, default).Count);
        source.RoundTrip = TimeSpan.FromMilliseconds(500);
        Assert.Equal(2 + 14 - 7, Drain(planner, default).Count);
    }

    [Fact]
    public void Source_on_the_same_host_is_asked_for_more_at_first_where_that_is_wanted()
    {
        var planner = new PullPlanner(Table(100), Enumerable.Range(0, 100), new PlannerOptions(20 * Size, LanesPerSource: 2) { FirstBytesOnHost = 20 * Size }, _seeded.Random);
        var near = Add(planner, [.. Enumerable.Range(0, 100)], Nearness.SameHost);

        Assert.Equal(20, Drain(planner, default).Count);

        // From then on by its rate, as every other.
        near.Progress(1, TimeSpan.FromSeconds(1));
        Assert.Empty(Drain(planner, TimeSpan.FromSeconds(1)));
    }

    [Fact]
    public void Source_on_the_same_host_leaves_room_for_others()
    {
        var planner = new PullPlanner(Table(100), Enumerable.Range(0, 100), new PlannerOptions(20 * Size, LanesPerSource: 2) { FirstBytesOnHost = 20 * Size }, _seeded.Random);
        var near = Add(planner, [.. Enumerable.Range(0, 100)], Nearness.SameHost);
        PlannedSource[] far = [Add(planner, [.. Enumerable.Range(0, 100)]), Add(planner, [.. Enumerable.Range(0, 100)])];

        Drain(planner, default);

        Assert.Equal(10, near.Outstanding);
        Assert.All(far, source => Assert.Equal(4, source.Outstanding));
    }

    [Fact]
    public void Shard_larger_than_every_window_is_asked_for_alone()
    {
        var planner = NewPlanner(2, windowBytes: 1);
        Add(planner, 0, 1);
        Assert.Single(Drain(planner, default));
    }

    [Fact]
    public void Failed_shard_is_asked_for_again_and_not_of_a_source_that_was_put_off()
    {
        var planner = NewPlanner(1);
        var a = Add(planner, 0);
        var b = Add(planner, 0);
        var first = planner.Next(default)!.Value;
        first.Source.NotBefore = Later;
        planner.Failed(first, wasReceived: false);
        var second = planner.Next(default)!.Value;
        Assert.Equal(first.Source == a ? b : a, second.Source);
        Assert.False(second.Hedge);
    }

    [Fact]
    public void Last_shard_that_is_slow_is_asked_of_a_second_source_once()
    {
        var planner = NewPlanner(1);
        Add(planner, 0);
        Add(planner, 0);
        Add(planner, 0);
        var first = planner.Next(default)!.Value;
        Assert.Null(planner.Next(TimeSpan.FromMilliseconds(100)));
        var hedge = planner.Next(Later)!.Value;
        Assert.True(hedge.Hedge);
        Assert.NotEqual(first.Source, hedge.Source);
        Assert.Null(planner.Next(Later));

        planner.Done(hedge);
        planner.Failed(first, wasReceived: false);
        Assert.Equal((0, 0, 0), (planner.Left, planner.Missing, planner.Fetching));
    }

    [Fact]
    public void Source_that_is_gone_takes_its_announcements_with_it()
    {
        var planner = NewPlanner(2);
        var a = Add(planner, 0, 1);
        planner.RemoveSource(a);
        Assert.Null(planner.Next(default));
        Add(planner, 1);
        Assert.Equal(1, planner.Next(default)?.Ordinal);
    }

    [Fact]
    public void Shard_set_aside_is_asked_for_only_after_it_is_put_back()
    {
        var planner = NewPlanner(1);
        Add(planner, 0);
        planner.SetAside(0);
        Assert.Null(planner.Next(default));
        planner.PutBack(0);
        Assert.Equal(0, planner.Next(default)?.Ordinal);
    }

    [Fact]
    public void Near_source_is_asked_before_a_far_one_which_gets_the_rest()
    {
        var planner = NewPlanner(8);
        var far = planner.AddSource(Guid.NewGuid(), Nearness.Elsewhere);
        var near = planner.AddSource(Guid.NewGuid(), Nearness.SameRack);
        foreach (var source in new[] { far, near })
        {
            var all = new ShardBitmap(8);
            Array.ForEach([.. Enumerable.Range(0, 8)], (int ordinal) => all[ordinal] = true);
            planner.SetHeld(source, all, isPublisher: false);
        }

        Assert.Equal([near, near, near, near, far, far, far, far], Drain(planner, default).Select(asked => asked.Source));
    }

    [Fact]
    public void Publisher_is_asked_only_for_what_nobody_else_holds()
    {
        var planner = NewPlanner(4);
        var publisher = AddPublisher(planner, 0, 1, 2, 3);
        var other = Add(planner, 1, 2);
        var asked = Drain(planner, default);
        Assert.Equal([1, 2], asked.Where(a => a.Source == other).Select(a => a.Ordinal).Order());
        Assert.Equal([0, 3], asked.Where(a => a.Source == publisher).Select(a => a.Ordinal).Order());
    }

    [Fact]
    public void Node_that_has_finished_spares_the_publisher_altogether()
    {
        var planner = NewPlanner(40);
        AddPublisher(planner, [.. Enumerable.Range(0, 40)]);
        var finished = Add(planner, [.. Enumerable.Range(0, 40)]);
        Assert.All(Drain(planner, default), asked => Assert.Equal(finished, asked.Source));
    }

    [Fact]
    public void What_only_the_publisher_holds_is_asked_for_first()
    {
        var planner = NewPlanner(8);
        Add(planner, 0, 1, 2, 3, 4, 5, 6);
        var publisher = AddPublisher(planner, 7);
        var first = planner.Next(default);
        Assert.Equal((publisher, 7), (first?.Source, first?.Ordinal));
    }

    [Fact]
    public void Source_that_turns_out_to_be_the_publisher_is_no_holder_any_more()
    {
        var planner = NewPlanner(2);
        var source = Add(planner, 0, 1);
        planner.SetHeld(source, source.Held, isPublisher: true);
        var other = Add(planner, 0);
        var asked = Drain(planner, default);
        Assert.Equal((other, source), (asked.Single(a => a.Ordinal == 0).Source, asked.Single(a => a.Ordinal == 1).Source));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Publisher_is_asked_for_what_another_holds_that_is_put_off_or_much_slower(bool isPutOff)
    {
        var planner = NewPlanner(20);
        var publisher = AddPublisher(planner, [.. Enumerable.Range(0, 20)]);
        var other = Add(planner, [.. Enumerable.Range(0, 19)]);
        Drain(planner, default);
        if (isPutOff)
        {
            other.NotBefore = Later;
        }
        else
        {
            other.Progress(Size / 10, TimeSpan.FromMilliseconds(500));
            publisher.Progress(50 * Size, TimeSpan.FromMilliseconds(500));
        }

        // What only the publisher holds was asked of it before.
        Assert.Contains(Drain(planner, TimeSpan.FromSeconds(2)), asked => asked.Source == publisher);
    }

    [Fact]
    public void Plan_of_sixty_thousand_shards_and_sixteen_sources_takes_a_step_per_shard()
    {
        const int Shards = 60_000;
        var planner = NewPlanner(Shards, windowBytes: 64L * Size);
        AddPublisher(planner, [.. Enumerable.Range(0, Shards)]);
        var pullers = Enumerable.Range(0, 15).Select(part => Add(planner, [.. Enumerable.Range(0, Shards).Where(o => o % 15 == part && o % 7 == 0)])).ToArray();
        var flying = new Queue<Assignment>();
        var asked = 0;
        while (planner.Left > 0)
        {
            Drain(planner, default).ForEach(flying.Enqueue);
            asked++;
            Assert.True(flying.TryDequeue(out var end), $"nothing is asked for with {planner.Left} left; {_seeded}");
            planner.Received(end);
            planner.Done(end);
            if (asked % 10 == 0)
            {
                var told = pullers[asked / 10 % pullers.Length];
                var more = told.Held.Clone();
                more[end.Ordinal] = true;
                planner.SetHeld(told, more, isPublisher: false);
            }
        }

        Assert.Equal(Shards, asked);
    }

    [Fact]
    public void Source_that_has_nothing_to_bring_keeps_its_rate()
    {
        var planner = NewPlanner(1);
        var source = Add(planner, 0);
        source.Outstanding = 1;
        source.Progress(Size, TimeSpan.FromMilliseconds(500));
        source.Outstanding = 0;
        for (var ms = 600; ms < 10_000; ms += 100)
        {
            source.Progress(0, TimeSpan.FromMilliseconds(ms));
        }

        Assert.Equal(2 * Size, source.Rate);
    }

    [Fact]
    public void Source_that_went_silent_keeps_a_rate_that_a_time_can_be_told_from()
    {
        // For ten minutes it is asked again and again, as after each put-off, and never answers.
        var planner = NewPlanner(2);
        var (silent, idle) = (Add(planner, 0), Add(planner, 1));
        var now = GoSilent(silent);

        Assert.Equal(PlannedSource.LeastRate, silent.Rate);
        var flight = new Flight(silent, 0, Size, now, Queued: 32L * Size);
        Assert.True(flight.Remaining(now) > TimeSpan.FromMinutes(1));
        idle.Held[0] = true;
        Assert.NotNull(new HedgePlanner(100 * Size, Size).Choose([flight], [idle], 1 << 20, now));
    }

    [Fact]
    public void Source_whose_rate_is_at_the_floor_is_still_asked_for_one_shard_at_a_time()
    {
        int[] all = [.. Enumerable.Range(0, 40)];
        var planner = NewPlanner(40);
        var (slow, _) = (Add(planner, all), Add(planner, all));
        var now = GoSilent(slow);
        slow.Outstanding = 0;

        Assert.Equal(PlannedSource.LeastRate, slow.Rate);
        var probe = Assert.Single(Drain(planner, now), asked => asked.Source == slow);
        planner.Received(probe);
        planner.Done(probe);
        Assert.Single(Drain(planner, now), asked => asked.Source == slow);
    }

    [Fact]
    public void Random_course_of_a_pull_keeps_the_books_straight_and_ends()
    {
        const int Shards = 60;
        var random = _seeded.Random;
        var planner = NewPlanner(Shards, windowBytes: 20 * Size, random: random);
        var sources = new List<PlannedSource> { Add(planner, [.. Enumerable.Range(0, Shards)]) };
        var flying = new List<Assignment>();
        var now = TimeSpan.Zero;
        for (var step = 0; planner.Left > 0; step++)
        {
            Assert.True(step < 20_000, $"the pull does not end; {_seeded}");
            now += TimeSpan.FromMilliseconds(random.Next(50));
            if (random.Next(10) == 0 && sources.Count < 6)
            {
                sources.Add(Add(planner, [.. Enumerable.Range(0, Shards).Where(_ => random.Next(2) == 0)]));
            }
            else if (random.Next(20) == 0 && sources.Count > 1)
            {
                planner.RemoveSource(sources[1]);
                sources.RemoveAt(1);
            }

            flying.AddRange(Drain(planner, now));
            Assert.True(flying.Count <= 20, $"{flying.Count} in flight; {_seeded}");
            Assert.All(flying.GroupBy(f => f.Ordinal), group => Assert.True(group.Count() <= 2, _seeded.ToString()));
            if (flying.Count > 0)
            {
                var end = flying[random.Next(flying.Count)];
                flying.Remove(end);
                if (random.Next(3) == 0)
                {
                    planner.Failed(end, wasReceived: false);
                }
                else
                {
                    planner.Received(end);
                    planner.Done(end);
                }
            }
        }

        flying.ForEach(end => planner.Failed(end, wasReceived: false));
        Assert.Equal((0, 0), (planner.Missing, planner.Fetching));
        Assert.All(sources, s => Assert.Equal((0, 0L, 0), (s.Outstanding, s.OutstandingBytes, s.Useful)));
    }

    [Fact]
    public void With_a_look_ahead_shards_are_let_in_in_their_order()
    {
        int[] wanted = [7, 3, 5, 1, 9, 0];
        var table = Enumerable.Range(0, 10).Select(_ => new ShardInfo(new Digest(_seeded.Bytes(Digest.Size)), Size)).ToImmutableArray();
        var planner = new PullPlanner(
            table, wanted, new PlannerOptions(1L << 30, LanesPerSource: 2) { LookAheadBytes = 3 * Size }, _seeded.Random);
        for (var sources = 0; sources < 3; sources++)
            Add(planner, wanted);

        var first = Drain(planner, TimeSpan.Zero);
        Assert.Equal([3, 5, 7], first.Select(a => a.Ordinal).Order());
        Assert.Equal(6, planner.Left);

        // What is found meanwhile makes room for the next, also when it had not been let in.
        planner.SetAside(9);
        planner.Done(9);
        planner.Done(first.Single(a => a.Ordinal == 5));
        var second = Assert.Single(Drain(planner, TimeSpan.Zero));
        Assert.Equal(1, second.Ordinal);
        planner.Failed(second, wasReceived: false);
        Assert.Equal(1, Assert.Single(Drain(planner, TimeSpan.Zero)).Ordinal);
        planner.Done(first.Single(a => a.Ordinal == 3));
        Assert.Equal(0, Assert.Single(Drain(planner, TimeSpan.Zero)).Ordinal);
    }

    [Fact]
    public void With_a_look_ahead_a_source_that_is_busy_with_the_next_shards_is_not_asked_for_later_ones_and_an_idle_one_is()
    {
        int[] wanted = [.. Enumerable.Range(0, 40).OrderBy(_ => _seeded.Random.Next())];
        var table = wanted.Select(_ => new ShardInfo(new Digest(_seeded.Bytes(Digest.Size)), Size)).ToImmutableArray();
        var planner = new PullPlanner(
            table, wanted, new PlannerOptions(16 * Size, LanesPerSource: 2) { LookAheadBytes = 6 * Size, IdleLookAheadBytes = 32 * Size }, _seeded.Random);

        // One that has told nothing yet is no reason to look further ahead.
        Add(planner, []);
        Assert.Empty(Drain(planner, TimeSpan.Zero));

        // Asked for less than the look-ahead at a time: what comes is never further from the first that is missing.
        var all = Add(planner, wanted);
        var flying = new List<Assignment>();
        for (var done = 0; done < 12; done++)
        {
            flying.AddRange(Drain(planner, TimeSpan.Zero));
            Assert.InRange(flying.Count, 1, 5);
            Assert.All(flying, fetch => Assert.True(Array.IndexOf(wanted, fetch.Ordinal) < done + 6, $"{_seeded}: shard {fetch.Ordinal} of {string.Join(' ', wanted)} with {done} done"));
            var end = flying[_seeded.Random.Next(flying.Count)];
            flying.Remove(end);
            planner.Received(end);
            planner.Done(end);
        }

        // One that holds only what comes last is asked for that, and the other still for what is next.
        var last = Add(planner, wanted[^10..]);
        var more = Drain(planner, TimeSpan.Zero);
        Assert.Contains(more, fetch => fetch.Source == last);
        Assert.All(more.Where(fetch => fetch.Source == all), fetch => Assert.True(Array.IndexOf(wanted, fetch.Ordinal) < 30, $"{_seeded}"));
    }

    private static PlannedSource Add(PullPlanner planner, params int[] held) => Add(planner, isPublisher: false, held);

    private static PlannedSource AddPublisher(PullPlanner planner, params int[] held) => Add(planner, isPublisher: true, held);

    private static PlannedSource Add(PullPlanner planner, int[] held, int nearness) => Add(planner, isPublisher: false, held, nearness);

    private static PlannedSource Add(PullPlanner planner, bool isPublisher, int[] held, int nearness = Nearness.Elsewhere)
    {
        var source = planner.AddSource(Guid.NewGuid(), nearness);
        var bitmap = new ShardBitmap(source.Held.Length);
        Array.ForEach(held, ordinal => bitmap[ordinal] = true);
        planner.SetHeld(source, bitmap, isPublisher);
        return source;
    }

    /// <summary>A source that was fast brings nothing more for ten minutes, at the end of which it is now, although a shard is asked of it.</summary>
    private static TimeSpan GoSilent(PlannedSource source)
    {
        source.Outstanding = 1;
        source.Progress(100 << 20, TimeSpan.FromSeconds(1));
        var now = TimeSpan.FromSeconds(1);
        for (; now < TimeSpan.FromMinutes(10); now += TimeSpan.FromMilliseconds(500))
        {
            source.Progress(0, now);
        }

        return now;
    }

    private static List<Assignment> Drain(PullPlanner planner, TimeSpan now)
    {
        var assignments = new List<Assignment>();
        while (planner.Next(now) is { } assignment)
        {
            assignments.Add(assignment);
        }

        return assignments;
    }

    private PullPlanner NewPlanner(int shards, long windowBytes = 1L << 30, Random? random = null)
    {
        return new PullPlanner(Table(shards), Enumerable.Range(0, shards), new PlannerOptions(windowBytes, LanesPerSource: 2), random ?? _seeded.Random);
    }

    private ImmutableArray<ShardInfo> Table(int shards) => [.. Enumerable.Range(0, shards).Select(_ => new ShardInfo(new Digest(_seeded.Bytes(Digest.Size)), Size))];
}
