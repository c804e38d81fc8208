using System.Collections.Immutable;
using P2PWeights.Store.Content;
using P2PWeights.Testing;
using P2PWeights.Transfer.Swarms;

namespace P2PWeights.Transfer.Tests.Swarms;

/// <summary>What the swarm's planners allocate once their tables have grown: nothing, to the byte. The counter is that of the test's own thread, so nothing else adds to it.</summary>
public sealed class PlannerAllocationTests
{
    private const int Shards = 512;
    private const int Rounds = 4;
    private const int Size = 16 << 20;

    /// <summary>Far more than it takes: a pull that hangs fails for what is left.</summary>
    private const int MostSteps = 100_000;

    private static readonly TimeSpan Step = TimeSpan.FromMilliseconds(10);

    private readonly Seeded _seeded = new();
    private readonly Queue<Assignment> _flying = new(Shards);
    private readonly List<Assignment> _slow = new(Shards);
    private TimeSpan _now;
    private int _hedges;
    private int _fromPublisher;

    [Fact]
    public void Decisions_of_a_pull_allocate_nothing()
    {
        var table = Enumerable.Range(0, Shards).Select(_ => new ShardInfo(new Digest(_seeded.Bytes(Digest.Size)), Size)).ToImmutableArray();
        var planner = new PullPlanner(table, Enumerable.Range(0, Shards), new PlannerOptions(64L * Size, LanesPerSource: 2), _seeded.Random);
        var publisher = planner.AddSource(Guid.NewGuid());
        planner.SetHeld(publisher, Bitmap(_ => true), isPublisher: true);
        var peers = Enumerable.Range(0, 3).Select(_ => planner.AddSource(Guid.NewGuid())).ToArray();
        var held = peers.Select((_, peer) => new[] { Bitmap(ordinal => ordinal % 4 == peer), Bitmap(ordinal => ordinal % 4 != 3 || peer == 0) }).ToArray();

        // Each round is a part of the pull, down to its last shards, which are asked for twice. The first grows the tables, and now and then a later one as well; what a decision allocates, all do.
        for (var ordinal = Shards / Rounds; ordinal < Shards; ordinal++)
        {
            planner.SetAside(ordinal);
        }

        var least = long.MaxValue;
        for (var round = 0; round < Rounds; round++)
        {
            var hedges = _hedges;
            var before = GC.GetAllocatedBytesForCurrentThread();
            for (var ordinal = round * Shards / Rounds; ordinal < (round + 1) * Shards / Rounds; ordinal++)
            {
                planner.PutBack(ordinal);
            }

            Carry(planner, publisher, peers, held);
            var allocated = GC.GetAllocatedBytesForCurrentThread() - before;
            least = round == 0 ? least : Math.Min(least, allocated);
            Assert.True(_hedges > hedges, $"nothing was asked for twice in round {round}; {_seeded}");
        }

        Assert.True(planner.Left == 0, $"{planner.Left} shards are left; {_seeded}");
        Assert.True(_fromPublisher > 0, $"nothing was asked of the publisher; {_seeded}");
        Assert.Equal(0, least);
    }

    [Fact]
    public void Reveals_allocate_nothing()
    {
        var planner = new RevealPlanner(Bitmap(_ => true), ahead: 16, _seeded.Random);
        var subscribers = Enumerable.Range(0, 4).Select(_ => planner.Add(Bitmap(_ => true), default)).ToArray();
        Send(planner, subscribers, 0, Shards / 2);
        var before = GC.GetAllocatedBytesForCurrentThread();
        Send(planner, subscribers, Shards / 2, Shards - 32);
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
        Assert.False(planner.IsOver);
        Assert.All(subscribers, subscriber => Assert.True(subscriber.Total > Shards / 8, _seeded.ToString()));
    }

    [Fact]
    public void Upload_slots_allocate_nothing()
    {
        var slots = new UploadSlots(4);
        var waiters = Enumerable.Range(0, 16).Select(_ => new Waiter(Guid.NewGuid())).ToArray();
        TakeTurns(slots, waiters);
        var before = GC.GetAllocatedBytesForCurrentThread();
        TakeTurns(slots, waiters);
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
        Assert.All(waiters, waiter => Assert.Equal(2, waiter.Grants));
    }

    /// <summary>Has the planner decide until nothing is left of what is let in. The last peer is slow: its shards come only when others have brought them, or are all that is left.</summary>
    private void Carry(PullPlanner planner, PlannedSource publisher, PlannedSource[] peers, ShardBitmap[][] held)
    {
        var slow = peers[^1];
        for (var step = 0; step < MostSteps && planner.Missing + planner.Fetching > 0; step++)
        {
            _now += Step;
            for (var peer = 0; peer < peers.Length; peer++)
            {
                planner.SetHeld(peers[peer], held[peer][step / 4 % 2], isPublisher: false);
            }

            while (planner.Next(_now) is { } assignment)
            {
                _hedges += assignment.Hedge ? 1 : 0;
                _fromPublisher += assignment.Source == publisher ? 1 : 0;
                if (assignment.Source == slow)
                {
                    _slow.Add(assignment);
                }
                else
                {
                    _flying.Enqueue(assignment);
                }
            }

            slow.Progress(1 << 10, _now);
            if (_flying.TryDequeue(out var fetch))
            {
                fetch.Source.Progress(Size, _now);
                if (step % 16 == 0)
                {
                    planner.Failed(fetch, wasReceived: false);
                }
                else
                {
                    planner.Received(fetch);
                    planner.Done(fetch);
                }
            }

            for (var i = _slow.Count - 1; i >= 0; i--)
            {
                if (!planner.IsOpen(_slow[i].Ordinal))
                {
                    planner.Failed(_slow[i], wasReceived: false);
                    _slow.RemoveAt(i);
                }
            }
        }
    }

    /// <summary>Sends shards, each to the next subscriber that has one revealed to it.</summary>
    private void Send(RevealPlanner planner, RevealedTo[] subscribers, int from, int to)
    {
        for (var sent = from; sent < to; sent++)
        {
            var subscriber = subscribers[sent % subscribers.Length];
            var ordinal = subscriber.Revealed.Pick(subscriber.Wanted, _seeded.Random);
            subscriber.Wanted[ordinal] = false;
            planner.Begin(ordinal, _now += Step);
            planner.End(_now += Step);
            planner.Update(_now);
        }
    }

    private static void TakeTurns(UploadSlots slots, Waiter[] waiters)
    {
        foreach (var waiter in waiters)
        {
            waiter.Grants += slots.TakeOrWait(waiter) ? 1 : 0;
        }

        foreach (var waiter in waiters)
        {
            slots.Held(Step);
            slots.Release(waiter.Peer);
        }
    }

    private static ShardBitmap Bitmap(Func<int, bool> isSet)
    {
        var bitmap = new ShardBitmap(Shards);
        for (var ordinal = 0; ordinal < Shards; ordinal++)
        {
            bitmap[ordinal] = isSet(ordinal);
        }

        return bitmap;
    }

    private sealed class Waiter(Guid peer) : IUploadWaiter
    {
        public Guid Peer => peer;

        public int Grants { get; set; }

        public void Granted() => Grants++;
    }
}
