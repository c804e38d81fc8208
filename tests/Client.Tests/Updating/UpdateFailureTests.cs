using P2PWeights.Client.Engines;
using P2PWeights.Client.Updating;
using P2PWeights.Client.Updating.Devices;
using P2PWeights.Client.Updating.Pipeline;
using P2PWeights.Native;
using P2PWeights.Native.Posix;
using P2PWeights.Store;
using P2PWeights.Testing;

namespace P2PWeights.Client.Tests.Updating;

public sealed class UpdateFailureTests
{
    [Fact]
    public async Task An_engine_that_raises_is_torn_and_the_others_are_updated()
    {
        await using var fixture = await UpdateFixture.CreateAsync();
        var (bad, _, badChannels) = UpdateFixture.Engine(1, (_, step, _) => step == "load 3"
            ? throw new EngineException(EngineError.Raised, "engine bad: no room") { Traceback = "Traceback (most recent call last)" }
            : Task.CompletedTask);
        var (good, readers, _) = UpdateFixture.Engine(2);

        var (engines, _, failure) = await fixture.UpdateAsync([bad, good]);

        Assert.Null(failure);
        Assert.Equal((EngineStates.Torn, "engine bad: no room", "Traceback (most recent call last)"), (engines[0].State, engines[0].Reason, engines[0].Traceback));
        Assert.Equal(3, engines[0].Ranks[0].BucketsLoaded);
        Assert.Equal(["load 3", "load 3 failed", "abort"], badChannels[0].Steps.TakeLast(3));
        Assert.Equal(EngineStates.Updated, engines[1].State);
        Assert.All(readers, fixture.AssertHolds);
        fixture.AssertClean();
    }

    [Theory]
    [InlineData("open", EngineStates.Untouched)]
    [InlineData("load 0", EngineStates.Torn)]
    [InlineData("release", EngineStates.Torn)]
    [InlineData("finish", EngineStates.Torn)]
    public async Task A_rank_that_dies_ends_the_update_of_its_engine_and_all_its_ranks_are_told(string step, string state)
    {
        await using var fixture = await UpdateFixture.CreateAsync();
        var (engine, _, channels) = UpdateFixture.Engine(3, (rank, at, token) =>
            rank == 1 && at == step ? throw new EngineException(EngineError.Died, "rank 1 went away")

            // The whole engine reports at the end: no rank is done before all are.
            : at == "finish" ? Task.Delay(Timeout.Infinite, token) : Task.CompletedTask);

        var (engines, _, failure) = await fixture.UpdateAsync([engine]);

        Assert.Null(failure);
        Assert.Equal((state, "rank 1 went away"), (engines[0].State, engines[0].Reason));
        Assert.All(channels, channel => Assert.Equal("rank 1 went away", channel.AbortReason));
        fixture.AssertClean();
    }

    [Fact]
    public async Task An_engine_that_never_answers_is_left_behind_after_its_deadline()
    {
        await using var fixture = await UpdateFixture.CreateAsync();
        var deadline = new TaskCompletionSource();
        var (silent, _, _) = UpdateFixture.Engine(1, async (_, step, _) =>
        {
            if (step == "load 1")
            {
                await deadline.Task;
                throw new EngineException(EngineError.Deadline, "silent did not answer for 60 s");
            }
        });
        var (good, readers, channels) = UpdateFixture.Engine(2);
        var updating = fixture.UpdateAsync([silent, good]);

        // The good one gets as far as the slots reach.
        while (channels[0].Loaded.Count < 3)
        {
            Assert.False(updating.IsCompleted);
            await Task.Yield();
        }

        deadline.SetResult();
        var (engines, _, failure) = await updating;
        Assert.Null(failure);
        Assert.Equal((EngineStates.Torn, "silent did not answer for 60 s"), (engines[0].State, engines[0].Reason));
        Assert.Equal(EngineStates.Updated, engines[1].State);
        Assert.All(readers, fixture.AssertHolds);
        fixture.AssertClean();
    }

    [Theory]
    [InlineData(FaultyCopy.In, DeviceFault.Fail, 0)]
    [InlineData(FaultyCopy.In, DeviceFault.Fail, 7)]
    [InlineData(FaultyCopy.In, DeviceFault.Stall, 7)]
    [InlineData(FaultyCopy.In, DeviceFault.Block, 7)]
    [InlineData(FaultyCopy.Out, DeviceFault.Stall, 3)]
    [InlineData(FaultyCopy.Out, DeviceFault.Block, 3)]
    [InlineData(FaultyCopy.FromOthers, DeviceFault.Stall, 3)]
    public async Task A_device_that_fails_is_named_and_the_other_engines_are_updated(FaultyCopy where, DeviceFault fault, int goodCopies)
    {
        await using var fixture = await UpdateFixture.CreateAsync();
        using var devices = new FaultyDevices(new HostDevices(fixture.SlotRoot), "host-1", where, fault, goodCopies);

        // Engines of one rank each: the second one's device is the faulty one.
        var (first, firstReaders, _) = UpdateFixture.Engine("host-0");
        var (second, _, secondChannels) = UpdateFixture.Engine("host-1");
        var (third, thirdReaders, _) = UpdateFixture.Engine("host-2");

        // What stops at the same time counts as such within half of the time.
        var timeout = where == FaultyCopy.FromOthers ? 2 * UpdateFixture.DeviceTimeout : UpdateFixture.DeviceTimeout;
        var (engines, _, failure) = await fixture.UpdateAsync([first, second, third], UpdateFixture.Request with { DeviceTimeout = timeout }, devices);

        Assert.Null(failure);
        Assert.Equal([EngineStates.Updated, EngineStates.Updated], [engines[0].State, engines[2].State]);
        Assert.NotEqual(EngineStates.Updated, engines[1].State);
        Assert.StartsWith("host-1 failed: ", engines[1].Reason, StringComparison.Ordinal);
        Assert.Equal(engines[1].Reason, secondChannels[0].AbortReason);

        // Memory that a copy without end may read is given up too: freeing it would wait.
        Assert.Equal(where == FaultyCopy.In ? ["host-1"] : ["host-0", "host-1", "host-2"], devices.Abandoned.Order());
        Assert.All(firstReaders.Concat(thirdReaders), fixture.AssertHolds);
        fixture.AssertClean();
    }

    [Fact]
    public async Task A_device_that_takes_nothing_more_is_named_and_not_the_one_whose_copy_it_holds_up()
    {
        await using var fixture = await UpdateFixture.CreateAsync();
        using var devices = new FaultyDevices(new HostDevices(fixture.SlotRoot), "host-1", FaultyCopy.Into, DeviceFault.Stall, goodCopies: 3);
        var (first, readers, _) = UpdateFixture.Engine("host-0");
        var (second, _, _) = UpdateFixture.Engine("host-1");

        // With one slot nothing else is on its way to the device that could tell.
        var (engines, _, failure) = await fixture.UpdateAsync([first, second], UpdateFixture.Impatient with { Slots = 1 }, devices);

        Assert.Null(failure);
        Assert.Equal((EngineStates.Updated, null), (engines[0].State, engines[0].Reason));
        Assert.Equal((EngineStates.Torn, "host-1 failed: a copy from host memory did not end within 6 s"), (engines[1].State, engines[1].Reason));
        Assert.Equal(["host-0", "host-1"], devices.Abandoned.Order()); // the first one's copy may still read its slots
        Assert.All(readers, fixture.AssertHolds);
        fixture.AssertClean();
    }

    [Theory]
    [InlineData("host-0", "host-1")]
    [InlineData("host-0", "host-1", "host-2")]
    public async Task A_link_that_hangs_both_ways_costs_one_of_its_ends(params string[] names)
    {
        await using var fixture = await UpdateFixture.CreateAsync();
        using var devices = new FaultyDevices(new HostDevices(fixture.SlotRoot), "host-1", FaultyCopy.Link, DeviceFault.Stall, goodCopies: 3);
        var all = names.Select(name => UpdateFixture.Engine(name)).ToList();

        var (engines, _, failure) = await fixture.UpdateAsync([.. all.Select(one => one.Engine)], UpdateFixture.Impatient, devices);

        Assert.Null(failure);
        Assert.Matches("^host-[01] failed: a copy to host-[01] did not end within 6 s$", Assert.Single(engines.Take(2), engine => engine.State != EngineStates.Updated).Reason);
        Assert.All(engines.Skip(2), engine => Assert.Equal(EngineStates.Updated, engine.State));
        Assert.All(all.Where((_, index) => engines[index].State == EngineStates.Updated).SelectMany(one => one.Readers), fixture.AssertHolds);
        fixture.AssertClean();
    }

    [Fact]
    public async Task A_file_that_cannot_be_read_when_a_device_is_to_prove_itself_ends_the_update()
    {
        await using var fixture = await UpdateFixture.CreateAsync(inMemory: false);
        using var devices = new FaultyDevices(new HostDevices(fixture.SlotRoot), "host-1", FaultyCopy.Out, DeviceFault.Stall, goodCopies: 3) { GoesWrong = fixture.TruncateFiles };
        var (first, _, _) = UpdateFixture.Engine("host-0");
        var (second, _, _) = UpdateFixture.Engine("host-1");

        // With one slot nothing else is read meanwhile.
        var (engines, _, failure) = await fixture.UpdateAsync([first, second], UpdateFixture.Impatient with { Slots = 1 }, devices);

        var reason = Assert.IsType<StoreException>(failure).Message;
        Assert.All(engines, engine => Assert.Equal((EngineStates.Torn, reason), (engine.State, engine.Reason)));
        Assert.Equal(["host-0", "host-1"], devices.Abandoned.Order());
        fixture.AssertClean();
    }

    [Fact]
    public async Task A_sender_that_stalls_ends_the_update_when_its_copies_keep_every_slot()
    {
        await using var fixture = await UpdateFixture.CreateAsync();
        using var devices = new FaultyDevices(new HostDevices(fixture.SlotRoot), "host-1", FaultyCopy.Out, DeviceFault.Stall, goodCopies: 3);
        var (first, _, _) = UpdateFixture.Engine("host-0");
        var (second, _, _) = UpdateFixture.Engine("host-1");

        var (engines, _, failure) = await fixture.UpdateAsync([first, second], UpdateFixture.Impatient with { Slots = 1 }, devices);

        Assert.Contains("every slot is kept by a copy that may still write into it (host-1: a copy to host-0 did not end within 6 s)", Assert.IsType<UpdateException>(failure).Message, StringComparison.Ordinal);
        Assert.All(engines, engine => Assert.Equal(EngineStates.Torn, engine.State));
        fixture.AssertClean();
    }

    [Fact]
    public async Task A_copy_that_ends_late_writes_over_nothing()
    {
        await using var fixture = await UpdateFixture.CreateAsync();
        using var devices = new FaultyDevices(new HostDevices(fixture.SlotRoot), "host-1", FaultyCopy.Out, DeviceFault.Hold, goodCopies: 3);
        var (first, readers, _) = UpdateFixture.Engine(1, (_, step, _) => step == "load 8"
            ? devices.ReleaseAsync() // long after host-1 was left behind, while later buckets are on their way
            : Task.CompletedTask);
        var (second, _, _) = UpdateFixture.Engine("host-1");

        var (engines, _, failure) = await fixture.UpdateAsync([first, second], UpdateFixture.Impatient, devices);

        Assert.Null(failure);
        Assert.Equal(EngineStates.Updated, engines[0].State);
        Assert.Equal("host-1 failed: a copy to host-0 did not end within 6 s", engines[1].Reason);
        Assert.All(readers, fixture.AssertHolds);
        fixture.AssertClean();
    }

    [Fact]
    public async Task Waits_for_staging_blocks_end_when_their_device_fails()
    {
        using var folder = new TempFolder();
        using var devices = new HostDevices(Directory.CreateDirectory(folder["slots"]).FullName);
        using var staging = new StagingBlocks(devices, 1);
        await staging.TakeAsync(default);
        var waiting = staging.TakeAsync(default).AsTask();

        staging.Close();

        await Assert.ThrowsAsync<DeviceFailedException>(() => waiting);
    }

    [Fact]
    public async Task Memory_of_a_device_that_stalls_is_counted_and_kept_from_finalizers()
    {
        var before = GivenUpMemory.Bytes;
        await using var fixture = await UpdateFixture.CreateAsync(inMemory: false);
        using var devices = new FaultyDevices(new HostDevices(fixture.SlotRoot), "host-0", FaultyCopy.In, DeviceFault.Stall, goodCopies: 1);
        var (engine, _, _) = UpdateFixture.Engine("host-0");

        var (_, plan, _) = await fixture.UpdateAsync([engine], UpdateFixture.Request with { DeviceTimeout = TimeSpan.FromMilliseconds(200) }, devices);

        // Other tests give up memory meanwhile: never less.
        Assert.True(GivenUpMemory.Bytes - before >= plan.Slots.TotalBytes + CopyPlanner.BlockBytes);
        Assert.NotEmpty(devices.Registered);
        GC.Collect();
        GC.WaitForPendingFinalizers();
        Assert.All(devices.Registered, registered => Assert.True(registered.TryGetTarget(out _)));
    }

    [Fact]
    public void Slots_in_the_host_s_memory_are_freed_when_they_are_given_up_and_count_for_nothing()
    {
        using var folder = new TempFolder();
        using var devices = new HostDevices(folder.Path);
        using var device = devices.Open(new EngineDevice("host-0"));
        device.Allocate(1 << 20);
        Assert.Single(Directory.GetFiles(folder.Path));

        Assert.Equal(0, device.Abandon());

        Assert.Empty(Directory.GetFiles(folder.Path));
    }

    [Fact]
    public async Task Slices_that_a_device_cannot_pass_on_are_copied_from_the_host_instead()
    {
        await using var fixture = await UpdateFixture.CreateAsync();
        using var devices = new FaultyDevices(new HostDevices(fixture.SlotRoot), "host-1", FaultyCopy.Out, DeviceFault.Fail, goodCopies: 3);
        var (engine, readers, _) = UpdateFixture.Engine(3);

        var (engines, _, failure) = await fixture.UpdateAsync([engine], devices: devices);

        Assert.Null(failure);
        Assert.Equal(EngineStates.Updated, engines[0].State);
        Assert.All(readers, fixture.AssertHolds);
        fixture.AssertClean();
    }

    [Fact]
    public async Task Ranks_are_stopped_before_anybody_hears_that_their_engine_failed()
    {
        await using var run = new EngineRun("e", [], [], new EngineMeters(new StageMeter(TimeProvider.System), new StageMeter(TimeProvider.System), new StageMeter(TimeProvider.System)));
        bool? wereStopped = null;
        run.HasFailed += () => wereStopped = run.Failed.IsCancellationRequested;

        run.Fail("lost");

        Assert.True(wereStopped);
    }

    [Fact]
    public async Task An_engine_that_has_reported_success_stays_updated_when_the_update_is_given_up()
    {
        await using var run = new EngineRun("e", [], [], new EngineMeters(new StageMeter(TimeProvider.System), new StageMeter(TimeProvider.System), new StageMeter(TimeProvider.System)));
        run.Finished();

        run.GiveUp("the update was cancelled");
        Assert.Null(run.Failure);
        Assert.False(run.Failed.IsCancellationRequested);

        run.Fail("another rank did not acknowledge");
        Assert.Equal("another rank did not acknowledge", run.Failure);
    }

    [Fact]
    public async Task Shards_that_cannot_be_had_end_the_update_and_every_engine_is_told_why()
    {
        await using var fixture = await UpdateFixture.CreateAsync();
        var (one, _, channels) = UpdateFixture.Engine(2);
        var (other, _, otherChannels) = UpdateFixture.Engine(1);
        var last = fixture.Manifest.Shards.Length - 1;

        var (engines, _, failure) = await fixture.UpdateAsync([one, other], lease: (ordinal, token) =>
            ordinal == last ? throw new StoreException(StoreError.Io, "the last source is gone") : fixture.Lease(ordinal, token));

        Assert.Equal("the last source is gone", Assert.IsType<StoreException>(failure).Message);
        Assert.All(engines, engine => Assert.Equal("the last source is gone", engine.Reason));
        Assert.All(channels.Concat(otherChannels), channel => Assert.Equal("the last source is gone", channel.AbortReason));
        fixture.AssertClean();
    }

    [Fact]
    public async Task A_cancelled_update_tells_every_engine_and_leaves_nothing_behind()
    {
        await using var fixture = await UpdateFixture.CreateAsync();
        using var cancel = new CancellationTokenSource();
        var (engine, _, channels) = UpdateFixture.Engine(2, (rank, step, token) =>
        {
            if (rank == 1 && step == "load 2")
            {
                cancel.Cancel();
            }

            return Task.CompletedTask;
        });

        var (engines, _, failure) = await fixture.UpdateAsync([engine], cancellationToken: cancel.Token);

        Assert.IsAssignableFrom<OperationCanceledException>(failure);
        Assert.Equal((EngineStates.Torn, "the update was cancelled"), (engines[0].State, engines[0].Reason));
        Assert.All(channels, channel => Assert.Equal("the update was cancelled", channel.AbortReason));
        fixture.AssertClean();
    }

    [Fact]
    public async Task Slots_that_a_killed_process_left_go_with_the_next_update_and_those_in_use_stay()
    {
        await using var fixture = await UpdateFixture.CreateAsync();
        string[] paths = [.. Enumerable.Range(0, 3).Select(number => Path.Combine(fixture.SlotRoot, $"p2pweights-slots-{number}"))];
        Array.ForEach(paths, path => File.WriteAllText(path, "weights"));
        Array.ForEach(paths[..2], path => File.SetLastWriteTimeUtc(path, DateTime.UtcNow.AddHours(-1)));
        using (PosixFile.TryLockExclusive(paths[1]))
        using (new HostDevices(fixture.SlotRoot))
        {
            Assert.Equal(paths[1..], Directory.GetFiles(fixture.SlotRoot).Order());
        }
    }

    [Fact]
    public async Task An_update_whose_engines_have_all_failed_stops_at_once()
    {
        await using var fixture = await UpdateFixture.CreateAsync();
        var (engine, _, _) = UpdateFixture.Engine(1, (_, step, _) => step == "load 0" ? throw new EngineException(EngineError.Died, "it went away") : Task.CompletedTask);

        // A shard that never comes would keep an update waiting that has nobody to bring it to.
        var last = fixture.Manifest.Shards.Length - 1;
        var (engines, _, failure) = await fixture.UpdateAsync([engine], lease: async (ordinal, token) =>
        {
            await (ordinal == last ? Task.Delay(Timeout.Infinite, token) : Task.CompletedTask);
            return await fixture.Lease(ordinal, token);
        });

        Assert.Null(failure);
        Assert.Equal("it went away", engines[0].Reason);
        fixture.AssertClean();
    }
}
