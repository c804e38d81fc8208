using System.Collections.Concurrent;
using P2PWeights.Store.Gpu;
using P2PWeights.Testing;

namespace P2PWeights.Store.Tests.Gpu;

public sealed class CopyBatchesTests
{
    private readonly List<(int Lane, int[] Items, TaskCompletionSource Done)> _begun = [];
    private readonly CopyBatches<int> _batches;

    public CopyBatchesTests() => _batches = new CopyBatches<int>((lane, items) =>
    {
        var done = new TaskCompletionSource();
        lock (_begun)
        {
            _begun.Add((lane, [.. items], done));
        }

        return done.Task;
    });

    [Fact]
    public async Task What_is_asked_for_while_both_lanes_work_goes_together_when_one_ends()
    {
        Task[] asked = [.. Enumerable.Range(0, 7).Select(_batches.AddAsync)];
        Assert.Equal([[0], [1]], _begun.Select(batch => batch.Items));
        Assert.NotEqual(_begun[0].Lane, _begun[1].Lane);
        Assert.DoesNotContain(asked, task => task.IsCompleted);

        _begun[1].Done.SetResult();
        await asked[1].WaitAsync(StoreFixture.Deadline);

        // Begun before anybody was told: the device does not wait for those who do.
        Assert.Equal([2, 3, 4, 5, 6], _begun[2].Items);
        Assert.Equal(_begun[1].Lane, _begun[2].Lane);
        Assert.False(asked[0].IsCompleted || asked[2].IsCompleted);
        _begun[0].Done.SetResult();
        _begun[2].Done.SetResult();
        await Task.WhenAll(asked).WaitAsync(StoreFixture.Deadline);
        Assert.Equal((7, 3), (_batches.Counts.Copies, _batches.Counts.Batches));
    }

    [Fact]
    public async Task More_than_a_batch_takes_waits_for_the_next_in_the_order_asked()
    {
        Task[] asked = [.. Enumerable.Range(0, 2 + CopyBatches<int>.Most + 3).Select(_batches.AddAsync)];
        _begun[0].Done.SetResult();
        await asked[0].WaitAsync(StoreFixture.Deadline);
        Assert.Equal(Enumerable.Range(2, CopyBatches<int>.Most), _begun[2].Items);

        // Whoever asks now goes with the last.
        var later = _batches.AddAsync(100);
        _begun[1].Done.SetResult();
        await asked[1].WaitAsync(StoreFixture.Deadline);
        Assert.Equal([.. Enumerable.Range(2 + CopyBatches<int>.Most, 3), 100], _begun[3].Items);
        _begun[2].Done.SetResult();
        _begun[3].Done.SetResult();
        await Task.WhenAll([.. asked, later]).WaitAsync(StoreFixture.Deadline);
        Assert.Equal((asked.Length + 1, 4), (_batches.Counts.Copies, _batches.Counts.Batches));
    }

    [Fact]
    public async Task Failure_is_that_of_its_batch_alone()
    {
        Task[] asked = [.. Enumerable.Range(0, 4).Select(_batches.AddAsync)];
        _begun[0].Done.SetResult();
        await asked[0].WaitAsync(StoreFixture.Deadline);
        _begun[2].Done.SetException(new IOException("the device is lost"));

        await Assert.ThrowsAsync<IOException>(() => asked[2].WaitAsync(StoreFixture.Deadline));
        await Assert.ThrowsAsync<IOException>(() => asked[3].WaitAsync(StoreFixture.Deadline));
        Assert.False(asked[1].IsCompleted);
        _begun[1].Done.SetResult();
        await asked[1].WaitAsync(StoreFixture.Deadline);

        // The lane of the one that failed works on.
        var later = _batches.AddAsync(4);
        _begun[3].Done.SetResult();
        await later.WaitAsync(StoreFixture.Deadline);
    }

    [Fact]
    public async Task Copies_asked_for_by_many_are_done_once_each_in_small_batches_of_which_two_are_under_way()
    {
        var seeded = new Seeded();
        var pauses = new ConcurrentQueue<int>(Enumerable.Range(0, 10_000).Select(_ => seeded.Random.Next(3)));
        var (done, now, most, largest) = (new ConcurrentBag<int>(), 0, 0, 0);
        var batches = new CopyBatches<int>(async (_, items) =>
        {
            var running = Interlocked.Increment(ref now);
            InterlockedMax(ref most, running);
            for (pauses.TryDequeue(out var left); left > 0; left--)
            {
                await Task.Yield();
            }

            items.ForEach(done.Add);
            InterlockedMax(ref largest, items.Count);
            Interlocked.Decrement(ref now);
        });
        var next = -1;

        await Task.WhenAll(Enumerable.Range(0, 40).Select(_ => Task.Run(async () =>
        {
            for (var item = Interlocked.Increment(ref next); item < 4000; item = Interlocked.Increment(ref next))
            {
                await batches.AddAsync(item);
            }
        }))).WaitAsync(StoreFixture.Deadline);

        Assert.True(Enumerable.Range(0, 4000).SequenceEqual(done.Order()), seeded.ToString());
        Assert.True(most <= CopyBatches<int>.Lanes, $"{most} batches at a time; {seeded}");
        Assert.True(largest <= CopyBatches<int>.Most, $"{largest} in a batch; {seeded}");
        Assert.Equal(4000, batches.Counts.Copies);
    }

    private static void InterlockedMax(ref int most, int value)
    {
        for (var seen = Volatile.Read(ref most); seen < value; seen = Volatile.Read(ref most))
        {
            Interlocked.CompareExchange(ref most, value, seen);
        }
    }
}
