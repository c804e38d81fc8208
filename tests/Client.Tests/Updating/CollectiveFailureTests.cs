using P2PWeights.Client.Engines;
using P2PWeights.Client.Updating;
using P2PWeights.Client.Updating.Devices;
using P2PWeights.Client.Updating.Pipeline;
using P2PWeights.Native;
using P2PWeights.Store;
using P2PWeights.Testing;

namespace P2PWeights.Client.Tests.Updating;

/// <summary>Exchanges by collective operations, in which the failure of one device is that of all.</summary>
public sealed class CollectiveFailureTests
{
    [Theory]
    [InlineData(FaultyCopy.In, DeviceFault.Fail, "injected")]
    [InlineData(FaultyCopy.In, DeviceFault.Stall, "a copy from host memory did not end within 6 s")]
    [InlineData(FaultyCopy.Out, DeviceFault.Fail, "injected")]
    [InlineData(FaultyCopy.Out, DeviceFault.Stall, "host-1 did not end it within 6 s")]
    public async Task A_collective_that_loses_a_device_ends_the_update_for_all_and_says_what_would_not(FaultyCopy where, DeviceFault fault, string reason)
    {
        await using var fixture = await UpdateFixture.CreateAsync();
        using var devices = new FaultyDevices(new HostDevices(fixture.SlotRoot), "host-1", where, fault, goodCopies: 7);
        var (lost, _, lostChannels) = UpdateFixture.Engine("host-1");
        var (other, _, otherChannels) = UpdateFixture.Engine("host-0", "host-2");
        var request = UpdateFixture.Impatient with { Broadcast = BroadcastModes.Nccl };

        var (engines, _, failure) = await fixture.UpdateAsync([lost, other], request, devices);

        Assert.NotEqual(EngineStates.Updated, engines[0].State);
        Assert.Contains(reason, engines[0].Reason, StringComparison.Ordinal);
        Assert.NotEqual(EngineStates.Updated, engines[1].State);
        Assert.Contains(reason, engines[1].Reason, StringComparison.Ordinal);
        Assert.Contains("with --broadcast peer the others would have gone on", engines[1].Reason, StringComparison.Ordinal);
        Assert.Equal(engines[1].Reason, Assert.IsType<UpdateException>(failure).Message);
        Assert.All(lostChannels, channel => Assert.Equal(engines[0].Reason, channel.AbortReason));
        Assert.All(otherChannels, channel => Assert.Equal(engines[1].Reason, channel.AbortReason));
        fixture.AssertClean();
    }

    [Fact]
    public async Task A_collective_whose_abort_does_not_return_ends_the_update_all_the_same()
    {
        await using var fixture = await UpdateFixture.CreateAsync();
        using var devices = new FaultyDevices(new HostDevices(fixture.SlotRoot), "host-1", FaultyCopy.Out, DeviceFault.Stall, goodCopies: 3) { BlocksAborts = true };
        var (engine, _, channels) = UpdateFixture.Engine("host-0", "host-1");

        // With one slot every bucket is loaded before the next is gathered, however slow the machine is.
        var request = UpdateFixture.Impatient with { Broadcast = BroadcastModes.Nccl, Slots = 1 };
        var (engines, _, failure) = await fixture.UpdateAsync([engine], request, devices).WaitAsync(TimeSpan.FromMinutes(1));

        Assert.Contains("(host-1 did not end it within 6 s)", Assert.IsType<UpdateException>(failure).Message, StringComparison.Ordinal);
        Assert.All(channels, channel => Assert.Equal(failure.Message, channel.AbortReason));
        Assert.Equal(EngineStates.Torn, engines[0].State);
        fixture.AssertClean();
    }

    [Fact]
    public async Task An_abort_takes_out_no_device_whose_operations_it_ended()
    {
        using var folder = new TempFolder();
        using var devices = new HostDevices(Directory.CreateDirectory(folder["slots"]).FullName);
        var slots = new SlotLayout(1 << 20, 2);
        DeviceLane[] lanes = [Lane(devices, slots, 0), Lane(devices, slots, 1)];
        var collective = new ScriptedCollective();
        using var exchange = new CollectiveExchange(collective, lanes, new StageMeter(TimeProvider.System), UpdateFixture.DeviceTimeout, TimeProvider.System);
        var (first, second) = (Flight(0), Flight(1));
        Task[] exchanges = [exchange.ExchangeAsync(first, lanes[0], default), exchange.ExchangeAsync(second, lanes[0], default)];
        await collective.Began(2);

        collective.Parts[0][0].SetResult();
        collective.Parts[0][1].SetException(new NativeException("fault", "gather", 1, "injected"));
        var failures = await Task.WhenAll(exchanges.Select(exchanging => Assert.ThrowsAsync<UpdateException>(() => exchanging)));

        Assert.All(failures, failure => Assert.Contains("host-1: fault gather: injected", failure.Message, StringComparison.Ordinal));
        Assert.Null(lanes[0].Failure);
        Assert.Contains("injected", lanes[1].Failure, StringComparison.Ordinal);
        Array.ForEach(lanes, lane => lane.Dispose());

        BucketFlight Flight(int slot) => new(new Bucket(0, 1 << 20, [], []), [], slot << 20, [.. lanes], new Dictionary<int, ShardLease>()) { Fills = { [0] = Task.CompletedTask, [1] = Task.CompletedTask } };
    }

    [Fact]
    public async Task A_collective_never_runs_with_fewer_devices_than_it_was_made_for()
    {
        using var folder = new TempFolder();
        using var devices = new HostDevices(Directory.CreateDirectory(folder["slots"]).FullName);
        var slots = new SlotLayout(1 << 20, 1);
        using var left = Lane(devices, slots, 0);
        using var lost = Lane(devices, slots, 1);
        lost.Fail("it stopped");
        var flight = new BucketFlight(new Bucket(0, 1 << 20, [], []), [], 0, [left], new Dictionary<int, ShardLease>());
        flight.Fills[0] = Task.CompletedTask;
        using var exchange = new CollectiveExchange(new NoCollective(), [left, lost], new StageMeter(TimeProvider.System), UpdateFixture.DeviceTimeout, TimeProvider.System);

        var failure = await Assert.ThrowsAsync<UpdateException>(() => exchange.ExchangeAsync(flight, left, default));

        Assert.Contains("host-1 failed: it stopped", failure.Message, StringComparison.Ordinal);
    }

    /// <summary>One of two.</summary>
    private static DeviceLane Lane(HostDevices devices, SlotLayout slots, int index) =>
        new(index, 2, devices.Open(new EngineDevice($"host-{index}")), new StagingBlocks(devices, 1), slots, UpdateFixture.DeviceTimeout, TimeProvider.System);

    /// <summary>Operations of two devices, which end when the test says so, or are aborted.</summary>
    private sealed class ScriptedCollective : ICollective
    {
        private readonly Lock _gate = new();
        private readonly SemaphoreSlim _began = new(0);

        public List<TaskCompletionSource[]> Parts { get; } = [];

        public IReadOnlyList<Task> Gather(long offset, long partBytes)
        {
            TaskCompletionSource[] parts = [Part(), Part()];
            lock (_gate)
            {
                Parts.Add(parts);
            }

            _began.Release();
            return [.. parts.Select(part => part.Task)];
        }

        public async Task Began(int operations)
        {
            for (var seen = 0; seen < operations; seen++)
            {
                await _began.WaitAsync().WaitAsync(TimeSpan.FromMinutes(1));
            }
        }

        public void Abort() => Parts.SelectMany(parts => parts).ToList().ForEach(part => part.TrySetException(new NativeException("fault", "gather", 1, "aborted")));

        public void Dispose() => _began.Dispose();

        private static TaskCompletionSource Part() => new(TaskCreationOptions.RunContinuationsAsynchronously);
    }

    /// <summary>Takes it for an error to be asked.</summary>
    private sealed class NoCollective : ICollective
    {
        public IReadOnlyList<Task> Gather(long offset, long partBytes) => throw new InvalidOperationException("a slice past the end of its slot");

        public void Abort()
        {
        }

        public void Dispose()
        {
        }
    }
}
