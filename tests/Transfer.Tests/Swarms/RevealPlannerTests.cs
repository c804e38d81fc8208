using P2PWeights.Testing;
using P2PWeights.Transfer.Swarms;

namespace P2PWeights.Transfer.Tests.Swarms;

public sealed class RevealPlannerTests
{
    private const int Shards = 100;
    private const int Ahead = 8;

    private readonly Seeded _seeded = new();

    [Fact]
    public void Subscriber_alone_is_told_everything()
    {
        var planner = NewPlanner();
        var only = planner.Add(All(), default);
        Assert.Equal(Shards, planner.Tell(only).Count());
    }

    [Fact]
    public void Each_shard_is_revealed_to_one_of_two_subscribers_and_to_both_in_the_end()
    {
        var planner = NewPlanner();
        var subscribers = new[] { planner.Add(All(), default), planner.Add(All(), default) };
        var sent = new HashSet<int>();
        var queues = new[] { new List<int>(), new List<int>() };
        while (sent.Count < Shards)
        {
            Assert.False(planner.IsOver, $"over after {sent.Count} shards; {_seeded}");
            var told = subscribers.Select(planner.Tell).ToArray();
            Assert.Equal(0, told[0].And(told[1]).Count());

            // In turns, and each in the order of its reveals: none is overtaken so far that the other is told too.
            for (var i = 0; i < queues.Length; i++)
            {
                queues[i].AddRange(Ordinals(told[i]).Where(ordinal => !sent.Contains(ordinal) && !queues[i].Contains(ordinal)));
            }

            var queue = queues[sent.Count % 2].Count > 0 ? queues[sent.Count % 2] : queues[(sent.Count + 1) % 2];
            Assert.True(queue.Count >= 1, $"nothing is revealed after {sent.Count} shards; {_seeded}");
            var chosen = queue[0];
            queue.RemoveAt(0);
            sent.Add(chosen);
            planner.Begin(chosen, default);
            planner.End(default);
        }

        Assert.True(planner.IsOver);
        Assert.All(subscribers, subscriber => Assert.Equal(Shards, planner.Tell(subscriber).Count()));
        Assert.All(subscribers, subscriber => Assert.InRange(subscriber.Total, (Shards / 2) - Ahead, (Shards / 2) + Ahead));
    }

    [Fact]
    public void What_a_subscriber_holds_is_not_revealed_to_it()
    {
        var planner = NewPlanner();
        var wanted = new ShardBitmap(Shards);
        wanted[7] = true;
        var few = planner.Add(wanted, default);
        planner.Add(All(), default);
        Assert.True(planner.Tell(few).Count() <= 1, _seeded.ToString());
    }

    [Fact]
    public void What_was_revealed_to_a_subscriber_that_left_is_revealed_to_another()
    {
        var planner = NewPlanner();
        var (leaves, stays, other) = (planner.Add(All(), default), planner.Add(All(), default), planner.Add(All(), default));
        var orphaned = Ordinals(planner.Tell(leaves));
        Assert.NotEmpty(orphaned);
        planner.Remove(leaves, default);
        var sent = Drain(planner, [stays, other]);
        Assert.All(orphaned, ordinal => Assert.Contains(ordinal, sent));
        Assert.Equal(Shards, sent.Count);
    }

    [Fact]
    public void Reveal_that_others_overtook_by_far_is_given_to_another()
    {
        var planner = NewPlanner(shards: 1000);
        var (hangs, works) = (planner.Add(All(1000), default), planner.Add(All(1000), default));
        var stuck = Ordinals(planner.Tell(hangs));
        var sent = Drain(planner, [works]);

        // Only the last reveals still wait for the one that hangs, and an idle publisher does not wait for those.
        Assert.True(sent.Count >= 1000 - Ahead, $"{sent.Count} of 1000 were revealed to the one that works; {_seeded}");
        Assert.True(stuck.Any(sent.Contains), $"what was revealed to the one that hangs was given to nobody else; {_seeded}");
        planner.Update(TimeSpan.FromMilliseconds(1100));
        Assert.True(planner.IsOver);
        Assert.Equal(1000, planner.Tell(works).Count());
    }

    [Fact]
    public void Subscribers_that_come_one_after_another_get_equal_parts()
    {
        var planner = NewPlanner();
        var subscribers = Enumerable.Range(0, 4).Select(_ => planner.Add(All(), default)).ToArray();
        Assert.All(subscribers, subscriber => Assert.Equal(Ahead / 4, planner.Tell(subscriber).Count()));
    }

    [Fact]
    public void Publisher_that_stands_idle_reveals_everything()
    {
        var planner = NewPlanner();
        var (one, other) = (planner.Add(All(), default), planner.Add(All(), default));
        planner.Update(TimeSpan.FromMilliseconds(900));
        Assert.False(planner.IsOver);
        planner.Update(TimeSpan.FromMilliseconds(1100));
        Assert.True(planner.IsOver);
        Assert.True(one.HasNews && other.HasNews);
        Assert.Equal(Shards, planner.Tell(other).Count());
    }

    [Fact]
    public void Publisher_that_sends_a_shard_slowly_is_not_idle()
    {
        var planner = NewPlanner();
        var (one, _) = (planner.Add(All(), default), planner.Add(All(), default));
        planner.Begin(Ordinals(planner.Tell(one))[0], default);
        planner.Update(TimeSpan.FromMinutes(1));
        Assert.False(planner.IsOver);
    }

    [Fact]
    public void Swarm_that_was_left_by_all_begins_anew()
    {
        var planner = NewPlanner();
        var first = planner.Add(All(), default);
        for (var ordinal = 0; ordinal < Shards; ordinal++)
        {
            planner.Begin(ordinal, default);
            planner.End(default);
        }

        planner.Remove(first, default);
        var (one, other) = (planner.Add(All(), default), planner.Add(All(), default));
        Assert.False(planner.IsOver);
        Assert.Equal(0, planner.Tell(one).And(planner.Tell(other)).Count());
    }

    [Fact]
    public void Shard_that_the_publisher_lost_is_told_to_nobody()
    {
        var planner = NewPlanner();
        var (one, other) = (planner.Add(All(), default), planner.Add(All(), default));
        var lost = Ordinals(planner.Tell(one))[0];
        planner.SetHeld(lost, false);
        Assert.False(planner.Tell(one)[lost]);
        Assert.Equal(Shards - 1, Drain(planner, [one, other]).Count);
        Assert.False(planner.Tell(one)[lost]);
    }

    /// <summary>Sends what is revealed, one shard at a time, until nothing more is.</summary>
    private HashSet<int> Drain(RevealPlanner planner, RevealedTo[] subscribers)
    {
        var sent = new HashSet<int>();
        for (var steps = 0; steps < 10_000; steps++)
        {
            var next = subscribers.SelectMany(subscriber => Ordinals(planner.Tell(subscriber))).FirstOrDefault(ordinal => !sent.Contains(ordinal), -1);
            if (next < 0)
            {
                return sent;
            }

            sent.Add(next);
            planner.Begin(next, default);
            planner.End(default);
        }

        throw new InvalidOperationException($"it does not end; {_seeded}");
    }

    private static int[] Ordinals(ShardBitmap bitmap) => [.. Enumerable.Range(0, bitmap.Length).Where(ordinal => bitmap[ordinal])];

    private static ShardBitmap All(int shards = Shards)
    {
        var all = new ShardBitmap(shards);
        for (var ordinal = 0; ordinal < shards; ordinal++)
        {
            all[ordinal] = true;
        }

        return all;
    }

    private RevealPlanner NewPlanner(int shards = Shards) => new(All(shards), Ahead, _seeded.Random);
}
