using P2PWeights.Store.Content;
using P2PWeights.Testing;
using P2PWeights.Transfer.Leasing;
using P2PWeights.Transfer.Wire;

namespace P2PWeights.Transfer.Tests.Leasing;

/// <summary>What happens to leases as time passes. Every clock here stands still unless the test lets it go.</summary>
public sealed class LeaseTimeTests
{
    private static readonly TimeSpan Second = TimeSpan.FromSeconds(1);

    private readonly TestCheckpoint _checkpoint = TestCheckpoint.Create(50_000);

    private ShardInfo Shard => _checkpoint.Manifest.Shards[0];

    [Fact]
    public async Task Lease_that_is_not_renewed_ends_for_the_listener_after_its_time()
    {
        var listener = new VirtualTime();
        await using var pair = await LeasePair.OpenAsync(_checkpoint, listener: listener, caller: new VirtualTime());
        await pair.Leases.ConnectQueuesAsync(FakeQueues.Offer(), TestNode.Deadline);
        using var memory = await pair.LeaseAsync(Shard, LeaseKind.Memory);
        using var file = await pair.LeaseAsync(Shard, LeaseKind.File);

        listener.Advance(WireLimits.LeaseTime - Second);
        Assert.Equal((2, 1), (pair.LeasesOut, pair.Queues.Exporters[0].Exported));
        await AdvanceUntilAsync(listener, () => pair.LeasesOut == 0, "both leases end");
        Assert.Equal(0, pair.Queues.Exporters[0].Exported);
    }

    [Fact]
    public async Task Lease_is_valid_for_its_holder_until_its_time_counted_from_before_the_request()
    {
        var caller = new VirtualTime();
        await using var pair = await LeasePair.OpenAsync(_checkpoint, listener: new VirtualTime(), caller: caller);
        using var lease = await pair.LeaseAsync(Shard, LeaseKind.File);
        await pair.StopServingAsync();
        await pair.Leases.Ended.WaitAsync(TestNode.Deadline);

        // The lane is down, nothing renews; the listener counts from later.
        caller.Advance(WireLimits.LeaseTime - Second);
        Assert.True(lease.IsValid);
        Assert.Equal(Second, lease.Remaining);
        caller.Advance(Second);
        Assert.Equal((false, TimeSpan.Zero), (lease.IsValid, lease.Remaining));
    }

    [Fact]
    public async Task Locate_that_takes_long_is_said_to_be_worked_on_until_it_takes_too_long()
    {
        var listener = new VirtualTime();
        await using var pair = await LeasePair.OpenAsync(_checkpoint, listener: listener, caller: new VirtualTime());
        var hold = new TaskCompletionSource();
        pair.Queues.Hold = hold.Task;
        await pair.Leases.ConnectQueuesAsync(FakeQueues.Offer(), TestNode.Deadline);
        var signs = 0;
        var waiting = pair.Leases.LocateAsync(Shard, LeaseKind.Memory, () => Interlocked.Increment(ref signs), TestNode.Deadline).AsTask();
        await Eventually.HoldsAsync(() => pair.LeasesOut == 1, "the request waits to be exported");

        await AdvanceUntilAsync(listener, () => Volatile.Read(ref signs) > 1, "two signs");
        await PassAsync(WireLimits.LocatingTime);
        var before = Volatile.Read(ref signs);
        await PassAsync(WireLimits.LocatingTime);
        Assert.Equal(before, Volatile.Read(ref signs));
        hold.SetResult();
        using var lease = (await waiting).Lease;
        Assert.NotNull(lease);

        // The lane stays in use, and an answer comes behind whatever was sent before it.
        async Task PassAsync(TimeSpan time)
        {
            for (var passed = TimeSpan.Zero; passed < time; passed += Second)
            {
                listener.Advance(Second);
                (await pair.LeaseAsync(Shard, LeaseKind.File)).Dispose();
            }
        }
    }

    [Fact]
    public async Task File_lease_is_renewed_for_as_long_as_it_is_held_and_memory_lease_for_a_minute()
    {
        var listener = new VirtualTime();
        var caller = new VirtualTime();
        await using var pair = await LeasePair.OpenAsync(_checkpoint, listener: listener, caller: caller);
        await pair.Leases.ConnectQueuesAsync(FakeQueues.Offer(), TestNode.Deadline);
        using var file = await pair.LeaseAsync(Shard, LeaseKind.File);
        using var memory = await pair.LeaseAsync(Shard, LeaseKind.Memory);

        for (var passed = TimeSpan.Zero; passed < 2 * WireLimits.MaxBriefLeaseTime; passed += Second)
        {
            var left = file.Remaining;
            listener.Advance(Second);
            caller.Advance(Second);

            // A renewal is under way now and then; a second is enough to be sure that one was due.
            if (left < WireLimits.LeaseTime - WireLimits.LeaseRenewInterval)
            {
                await Eventually.HoldsAsync(() => file.Remaining > left, "the renewal is answered");
            }

            Assert.True(file.IsValid);
            Assert.Equal(passed + Second < WireLimits.MaxBriefLeaseTime, memory.IsValid);
            if (memory.IsValid)
            {
                // What the holder believes, the listener keeps.
                Assert.Equal(1, pair.Queues.Exporters[0].Exported);
            }
        }

        await Eventually.HoldsAsync(() => pair.Queues.Exporters[0].Exported == 0, "the memory lease is withdrawn");
        Assert.Equal(1, pair.LeasesOut);
    }

    [Fact]
    public async Task Memory_that_the_listener_wants_back_is_not_kept_beyond_the_time_of_its_lease()
    {
        var listener = new VirtualTime();
        var caller = new VirtualTime();
        var kept = TestCheckpoint.Create(9 << 20);
        await using var pair = await LeasePair.OpenAsync(kept, listener: listener, caller: caller, memory: 16 << 20);
        using var lease = await pair.LeaseAsync(kept.Manifest.Shards[0], LeaseKind.File);
        Assert.False(lease.IsBrief);

        // Asks for the one block that there is, and goes to disk, again and again: the store's clock does not stand still.
        async Task WantAsync()
        {
            using var write = await pair.Source.Store.BeginWriteAsync(Shard, null, TestNode.Deadline);
            Assert.True(pair.Source.Store.IsMemoryWanted || pair.LeasesOut == 0);
        }

        await Eventually.HoldsAsync(
            async () =>
            {
                await WantAsync();
                var step = lease.Remaining > WireLimits.LeaseTime - WireLimits.LeaseRenewInterval ? Second / 2 : Second / 50;
                listener.Advance(step);
                caller.Advance(step);
                return lease.IsRecalled;
            },
            "the lease is recalled");
        Assert.True(lease.IsValid);
        Assert.Equal(1, pair.LeasesOut);
        using (var brief = await pair.LeaseAsync(kept.Manifest.Shards[0], LeaseKind.File))
        {
            Assert.True(brief.IsBrief);
        }

        for (var passed = TimeSpan.Zero; passed < WireLimits.LeaseTime; passed += Second)
        {
            await WantAsync();
            listener.Advance(Second);
        }

        await AdvanceUntilAsync(listener, () => pair.LeasesOut == 0, "the lease has ended");
    }

    [Fact]
    public async Task Lane_that_ends_takes_its_queue_pairs_and_upload_slots_with_it_and_leaves_files_their_time()
    {
        var listener = new VirtualTime();
        await using var pair = await LeasePair.OpenAsync(_checkpoint, slots: 1, listener: listener);
        await pair.Leases.ConnectQueuesAsync(FakeQueues.Offer(), TestNode.Deadline);
        using var memory = await pair.LeaseAsync(Shard, LeaseKind.Memory);
        using var file = await pair.LeaseAsync(Shard, LeaseKind.File);
        Assert.False(pair.Slots.TryTake(Guid.Empty));

        await pair.CloseSessionAsync();

        // The listener's clock stands still: nothing runs out.
        await Eventually.HoldsAsync(() => pair.Queues.Exporters[0].IsDisposed, "the queue pairs are gone");
        Assert.Equal((1, 0), (pair.LeasesOut, pair.Queues.Exporters[0].Exported));
        Assert.True(pair.Slots.TryTake(Guid.Empty));
        listener.Advance(WireLimits.LeaseTime - Second);
        Assert.Equal(1, pair.LeasesOut);
        await AdvanceUntilAsync(listener, () => pair.LeasesOut == 0, "the lease on the file ends");
    }

    [Fact]
    public async Task Lane_opened_anew_beside_one_that_ends_keeps_its_own_leases()
    {
        await using var pair = await LeasePair.OpenAsync(_checkpoint, listener: new VirtualTime());
        pair.HasQueuesOnManyLanes = true;
        using (var before = await pair.OpenLaneAsync())
        {
            await before.Connection.SendAsync(FrameCodec.Encode(1, FakeQueues.Offer()), TestNode.Deadline);
            await before.Connection.SendAsync(FrameCodec.Encode(2, new LocateMessage(Shard, LeaseKind.File)), TestNode.Deadline);
            await Eventually.HoldsAsync(() => pair.Queues.Exporters.Count == 1 && pair.LeasesOut == 1, "the first lane has queue pairs and a lease");
            await pair.Leases.ConnectQueuesAsync(FakeQueues.Offer(), TestNode.Deadline);
        }

        using var memory = await pair.LeaseAsync(Shard, LeaseKind.Memory);
        await Eventually.HoldsAsync(() => pair.Queues.Exporters[0].IsDisposed, "the first lane has ended");
        Assert.Equal((2, 1, false), (pair.LeasesOut, pair.Queues.Exporters[1].Exported, pair.Queues.Exporters[1].IsDisposed));
    }

    [Fact]
    public async Task Node_that_stops_ends_the_leases_of_living_and_ended_lanes_without_waiting()
    {
        // Its clock stands still: whoever waited for a lease to run out would wait for ever.
        await using var pair = await LeasePair.OpenAsync(_checkpoint, listener: new VirtualTime());
        await pair.Leases.ConnectQueuesAsync(FakeQueues.Offer(), TestNode.Deadline);
        using var memory = await pair.LeaseAsync(Shard, LeaseKind.Memory);
        using (var other = await pair.OpenLaneAsync())
        {
            await other.Connection.SendAsync(FrameCodec.Encode(1, new LocateMessage(Shard, LeaseKind.File)), TestNode.Deadline);
            await Eventually.HoldsAsync(() => pair.LeasesOut == 2, "the other lane has a lease too");
        }

        await pair.StopServingAsync().WaitAsync(TestNode.Deadline);

        Assert.Equal((0, true), (pair.LeasesOut, pair.Queues.Exporters[0].IsDisposed));
        await pair.Leases.Ended.WaitAsync(TestNode.Deadline);
    }

    [Fact]
    public async Task Request_that_is_not_answered_fails_the_path_after_a_while()
    {
        var caller = new VirtualTime();
        await using var pair = await LeasePair.OpenAsync(_checkpoint, caller: caller);
        pair.Queues.Hold = new TaskCompletionSource().Task;
        await pair.Leases.ConnectQueuesAsync(FakeQueues.Offer(), TestNode.Deadline);
        var waiting = pair.Leases.LocateAsync(Shard, LeaseKind.Memory, TestNode.Deadline).AsTask();
        for (var passed = TimeSpan.Zero; passed <= WireLimits.LeaseRequestTimeout; passed += WireLimits.LeaseRenewInterval)
        {
            caller.Advance(WireLimits.LeaseRenewInterval);

            // The lane itself is fine: others are answered on it meanwhile.
            await pair.Leases.ProveHostAsync(HostProof.NewChallenge(), TestNode.Deadline);
        }

        var outcome = await waiting;
        Assert.Equal(FetchStatus.PathFailed, outcome.Status);
        Assert.Contains("did not answer Locate", outcome.Detail, StringComparison.Ordinal);
        await pair.NothingIsOutAsync();
    }

    [Fact]
    public async Task Renewal_answered_after_a_lease_has_run_out_does_not_bring_it_back()
    {
        var time = new VirtualTime();
        await using var pair = await LeasePair.OpenAsync(_checkpoint);
        var start = time.GetTimestamp();
        var lease = new SourceLease(pair.Leases, 1, Shard, null, null, null, isBrief: false, start, WireLimits.LeaseTime, time);
        time.Advance(9 * Second);
        var asked = time.GetTimestamp();
        time.Advance(Second);
        lease.Renew(asked, WireLimits.LeaseTime, recalls: false);
        Assert.False(lease.IsValid);

        var renewed = new SourceLease(pair.Leases, 2, Shard, null, null, null, isBrief: false, asked, WireLimits.LeaseTime, time);
        time.Advance(4 * Second);
        renewed.Renew(time.GetTimestamp() - (3 * Second).Ticks, WireLimits.LeaseTime, recalls: false);
        Assert.Equal(7 * Second, renewed.Remaining);

        // An older answer never shortens it.
        renewed.Renew(asked, Second, recalls: false);
        Assert.Equal(7 * Second, renewed.Remaining);
    }

    /// <summary>Lets a clock go in small steps, because what a timer wakes goes on elsewhere.</summary>
    private static Task AdvanceUntilAsync(VirtualTime time, Func<bool> condition, string what) => Eventually.HoldsAsync(
        () =>
        {
            time.Advance(TimeSpan.FromMilliseconds(250));
            return condition();
        },
        what);
}
