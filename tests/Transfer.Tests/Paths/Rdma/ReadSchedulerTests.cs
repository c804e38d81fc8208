using P2PWeights.Native.Posix;
using P2PWeights.Testing;
using P2PWeights.Transfer.Paths.Rdma;

namespace P2PWeights.Transfer.Tests.Paths.Rdma;

public sealed class ReadSchedulerTests
{
    private const int ReadBytes = 1 << 20;

    [Fact]
    public async Task Shard_comes_whole_over_all_queues_and_counts_every_byte()
    {
        await using var bench = new Bench(new FakeQueue("a"), new FakeQueue("b"));
        var read = bench.ReadAsync((9 << 20) + 5);

        bench.EndAll();

        Assert.Null(await read);
        bench.AssertArrived();
        Assert.All(bench.Queues, queue => Assert.True(queue.MostPosted > 1));
    }

    [Fact]
    public async Task Queue_never_has_more_posted_than_its_depth()
    {
        await using var bench = new Bench(new FakeQueue("a", depth: 3));
        var read = bench.ReadAsync(16 << 20);

        Assert.Equal(3, bench.Queues[0].Posted);
        bench.EndAll();

        Assert.Null(await read);
        Assert.Equal(3, bench.Queues[0].MostPosted);
    }

    [Fact]
    public async Task Reads_of_a_queue_that_fails_move_to_another()
    {
        await using var bench = new Bench(new FakeQueue("a", depth: 2), new FakeQueue("b", depth: 2));
        var read = bench.ReadAsync(8 << 20);

        bench.Queues[0].EndOne();
        bench.Queues[0].EndOne(WorkFault.Queue, "transport retry counter exceeded");
        await bench.EndUntilAsync(read);

        Assert.Null(await read);
        bench.AssertArrived();
        Assert.True(bench.Queues[0].IsBroken);
        Assert.Null(bench.Scheduler.Broken);
        Assert.Equal(new PathFailure(FailureReasons.LaneLost, "a: transport retry counter exceeded"), bench.Scheduler.TakeLoss());
        Assert.Null(bench.Scheduler.TakeLoss());
    }

    [Fact]
    public async Task Queue_that_takes_no_reads_is_left_for_another()
    {
        await using var bench = new Bench(new FakeQueue("a") { RefusesPosts = "out of memory" }, new FakeQueue("b"));
        var read = bench.ReadAsync(8 << 20);

        bench.EndAll();

        Assert.Null(await read);
        bench.AssertArrived();
        Assert.Equal(new PathFailure(FailureReasons.Failed, "a: out of memory"), bench.Scheduler.TakeLoss());
    }

    [Fact]
    public async Task Queues_that_are_lost_together_are_told_by_the_read_that_fails_and_not_as_losses_beside_it()
    {
        await using var bench = new Bench(new FakeQueue("a"), new FakeQueue("b"));
        var read = bench.ReadAsync(8 << 20);

        Array.ForEach(bench.Queues, queue => queue.Failure = new PathFailure(FailureReasons.DeviceLost, "the device is gone"));
        bench.Queues[0].EndOne(WorkFault.Queue, "flushed");
        bench.Queues[1].EndOne(WorkFault.Queue, "flushed");

        Assert.Equal("a: flushed; b: flushed", (await read)?.Detail);
        Assert.Null(bench.Scheduler.TakeLoss());
    }

    [Fact]
    public async Task Failure_of_the_last_queue_fails_the_read_with_its_reason()
    {
        await using var bench = new Bench(new FakeQueue("a"), new FakeQueue("b"));
        var read = bench.ReadAsync(8 << 20);

        bench.Queues[0].EndOne(WorkFault.Queue, "the link went down");
        bench.Queues[1].EndOne(WorkFault.Queue, "transport retry counter exceeded");

        var failure = await read;
        Assert.Equal("a: the link went down; b: transport retry counter exceeded", failure?.Detail);
        Assert.Equal(failure, bench.Scheduler.Broken);
        Assert.Equal(failure, await bench.ReadAsync(5));
    }

    [Fact]
    public async Task Refused_key_fails_its_read_at_once_and_not_the_reads_beside_it()
    {
        await using var bench = new Bench(new FakeQueue("a"), new FakeQueue("b"));
        var stale = bench.ReadAsync(2 << 20);
        var good = bench.ReadAsync(4 << 20);

        bench.Queues[0].EndOne(WorkFault.KeyRefused, "remote access error");
        await bench.EndUntilAsync(Task.WhenAll(stale, good));

        Assert.Equal("a: remote access error", (await stale)?.Detail);
        Assert.Null(await good);
        Assert.Null(bench.Scheduler.Broken);
        Assert.Null(bench.Scheduler.TakeLoss());
    }

    [Fact]
    public async Task Lease_that_ends_stops_the_posting()
    {
        await using var bench = new Bench(new FakeQueue("a", depth: 1));
        var valid = true;
        var read = bench.ReadAsync(3 << 20, isValid: () => valid);

        valid = false;
        bench.EndAll();

        Assert.Equal(FailureReasons.LeaseExpired, (await read)?.Reason);
        Assert.Equal(1 << 20, bench.Received);
    }

    [Fact]
    public async Task Cancelled_read_waits_for_what_is_posted_and_posts_no_more()
    {
        await using var bench = new Bench(new VirtualTime(), new FakeQueue("a", depth: 2)); // it never takes too long to drain
        using var cancel = new CancellationTokenSource();
        var read = bench.ReadAsync(8 << 20, cancellationToken: cancel.Token);

        await cancel.CancelAsync();
        Assert.False(read.IsCompleted);
        bench.EndAll();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => read);
        Assert.Equal(2 << 20, bench.Received);
        Assert.False(bench.Queues[0].IsBroken);
    }

    [Fact]
    public async Task Cancelled_read_that_does_not_drain_costs_its_queue_and_the_others_go_on()
    {
        await using var bench = new Bench(new FakeQueue("a", depth: 1) { Flushes = true }, new FakeQueue("b", depth: 1));
        using var cancel = new CancellationTokenSource();
        var read = bench.ReadAsync(1 << 20, cancellationToken: cancel.Token);

        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => read);

        Assert.True(bench.Queues[0].IsBroken);
        Assert.Equal(FailureReasons.Stall, bench.Scheduler.TakeLoss()?.Reason);
        var next = bench.ReadAsync(2 << 20);
        await bench.EndUntilAsync(next);
        Assert.Null(await next);
    }

    [Fact]
    public async Task Queue_that_does_not_even_flush_is_destroyed_before_the_cancelled_read_returns()
    {
        await using var bench = new Bench(new FakeQueue("a", depth: 1) { Flushes = false });
        using var cancel = new CancellationTokenSource();
        var read = bench.ReadAsync(1 << 20, cancellationToken: cancel.Token);

        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => read);

        Assert.True(bench.Queues[0].IsDisposed);
    }

    [Fact]
    public async Task Random_failures_never_lose_a_read_or_a_byte()
    {
        var seeded = new Seeded();
        for (var round = 0; round < 20; round++)
        {
            await using var bench = new Bench([.. Enumerable.Range(0, 4).Select(i => new FakeQueue($"q{i}", depth: 1 + seeded.Random.Next(4), cost: 10 + (10 * (i % 2))))]);
            var reads = Enumerable.Range(0, 6).Select(_ => bench.ReadAsync(1 + seeded.Random.Next(3 << 20))).ToList();
            var all = Task.WhenAll(reads);

            // Three of four queues may fail; the last one brings everything.
            while (!all.IsCompleted)
            {
                var queue = seeded.Random.Next(4);
                var fails = queue < 3 && seeded.Random.Next(12) == 0;
                if (!bench.Queues[queue].EndOne(fails ? WorkFault.Queue : WorkFault.None, fails ? "lost" : null))
                {
                    await Task.Yield();
                }
            }

            Assert.All(await all, failure => Assert.True(failure is null, $"{failure}; {seeded}"));
            bench.AssertArrived();
        }
    }

    /// <summary>A scheduler over fake queues, a source and a destination in memory.</summary>
    private sealed class Bench : IAsyncDisposable
    {
        private const int Room = 20 << 20;

        private readonly MemoryMapping _source = MemoryMapping.CreateAnonymous(Room);
        private readonly MemoryMapping _target = MemoryMapping.CreateAnonymous(Room);
        private readonly Seeded _seeded = new();
        private int _used;
        private long _received;

        public Bench(params FakeQueue[] queues)
            : this(TimeProvider.System, queues)
        {
        }

        public Bench(TimeProvider time, params FakeQueue[] queues)
        {
            Queues = queues;
            Scheduler = new ReadScheduler(queues, ReadBytes, time);
            _seeded.Random.NextBytes(_source.GetMemory(0, Room).Span);
        }

        public FakeQueue[] Queues { get; }

        public ReadScheduler Scheduler { get; }

        public long Received => Interlocked.Read(ref _received);

        public unsafe Task<PathFailure?> ReadAsync(int length, Func<bool>? isValid = null, CancellationToken cancellationToken = default)
        {
            var keys = Queues.Select(_ => (QueueKey?)new QueueKey((ulong)(_source.Address + _used), 1)).ToArray();
            var read = new ShardRead((nint)(_target.Address + _used), keys, isValid ?? (() => true), count => Interlocked.Add(ref _received, count));
            _used += length;
            return Scheduler.ReadAsync(read, 0, length, cancellationToken).AsTask();
        }

        /// <summary>Ends reads well until none is posted.</summary>
        public void EndAll()
        {
            while (Queues.Any(queue => queue.EndOne()))
            {
            }
        }

        public async Task EndUntilAsync(Task done)
        {
            while (!done.IsCompleted)
            {
                EndAll();
                await Task.Yield();
            }
        }

        public void AssertArrived()
        {
            Assert.Equal(_used, Received);
            Assert.True(_source.GetMemory(0, _used).Span.SequenceEqual(_target.GetMemory(0, _used).Span), _seeded.ToString());
        }

        public async ValueTask DisposeAsync()
        {
            await Scheduler.DisposeAsync();
            _source.Dispose();
            _target.Dispose();
        }
    }
}
