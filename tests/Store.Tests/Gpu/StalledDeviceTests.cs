using P2PWeights.Native;
using P2PWeights.Native.Cuda;
using P2PWeights.Store.Adopting;
using P2PWeights.Store.Content;
using P2PWeights.Store.Gpu;
using P2PWeights.Testing;

namespace P2PWeights.Store.Tests.Gpu;

/// <summary>A device that does not end a copy: the operation fails with its name, and what it may still write to is used by nobody again.</summary>
public sealed class StalledDeviceTests : IAsyncLifetime
{
    private const int Size = 1 << 20;

    /// <summary>As many as there are slots of staging memory, and one more.</summary>
    private const int Stalls = 9;

    private static readonly GpuMemory Host = new("host-0", 32 << 20);

    private readonly StoreFixture _owner = new();
    private readonly StoreFixture _taker = new();

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync()
    {
        await _taker.DisposeAsync();
        await _owner.DisposeAsync();
    }

    [Fact]
    public async Task Copy_that_does_not_end_in_time_is_given_up_by_name_and_none_is_begun_after()
    {
        var time = new VirtualTime();
        var watch = new CopyWatch("GPU-7", time);
        var copying = watch.WithinAsync(() => new TaskCompletionSource().Task);
        time.Advance(CopyWatch.Deadline - TimeSpan.FromSeconds(1));
        Assert.False(copying.IsCompleted);
        time.Advance(TimeSpan.FromSeconds(1));

        var stalled = await Assert.ThrowsAsync<StalledDeviceException>(() => copying.WaitAsync(StoreFixture.Deadline));
        Assert.Contains("GPU-7 has not ended a copy within 30 s", stalled.Message, StringComparison.Ordinal);

        // Nothing was begun, so nobody needs to keep anything: another exception.
        var begun = false;
        var later = await Assert.ThrowsAsync<IOException>(() => watch.WithinAsync(() =>
        {
            begun = true;
            return Task.CompletedTask;
        }));
        Assert.Contains("GPU-7", later.Message, StringComparison.Ordinal);
        Assert.False(begun);
    }

    [Fact]
    public async Task Copy_that_ends_in_time_ends_as_it_does()
    {
        var watch = new CopyWatch("GPU-7", new VirtualTime());

        await watch.WithinAsync(() => Task.CompletedTask);
        await Assert.ThrowsAsync<InvalidDataException>(() => watch.WithinAsync(() => Task.FromException(new InvalidDataException())));
        await watch.WithinAsync(() => Task.CompletedTask);
    }

    [Fact]
    public async Task Driver_that_does_not_return_is_given_up_like_a_copy_that_does_not_end()
    {
        var time = new VirtualTime();
        var watch = new CopyWatch("GPU-7", time);
        using var returns = new ManualResetEventSlim();
        try
        {
            var asking = Task.Run<Task>(() => watch.WithinAsync(() =>
            {
                returns.Wait();
                return Task.CompletedTask;
            }));
            var copying = await asking.WaitAsync(StoreFixture.Deadline);
            time.Advance(CopyWatch.Deadline);

            await Assert.ThrowsAsync<StalledDeviceException>(() => copying.WaitAsync(StoreFixture.Deadline));
        }
        finally
        {
            returns.Set();
        }
    }

    [Fact]
    public async Task Copy_between_two_devices_that_stalls_is_that_of_the_link_when_nothing_else_tells()
    {
        var time = new VirtualTime();
        var watches = new CopyWatches(time);
        await StallAsync(time, watches.WithinAsync("GPU-1", "GPU-2", NeverAsync), "from GPU-1 to GPU-2");

        var later = await Assert.ThrowsAsync<IOException>(() => watches.WithinAsync("GPU-1", "GPU-2", () => Task.CompletedTask));
        Assert.Contains("from GPU-1 to GPU-2", later.Message, StringComparison.Ordinal);
        await watches.WithinAsync("GPU-2", "GPU-1", () => Task.CompletedTask);
        await watches.WithinAsync("GPU-1", () => Task.CompletedTask);
        await watches.WithinAsync("GPU-2", () => Task.CompletedTask);
    }

    [Theory]
    [InlineData("GPU-1", "GPU-2")]
    [InlineData("GPU-2", "GPU-1")]
    public async Task Device_whose_other_copies_have_stopped_too_is_the_one_that_stalled(string stalled, string other)
    {
        var time = new VirtualTime();
        var watches = new CopyWatches(time);
        var between = watches.WithinAsync("GPU-1", "GPU-2", NeverAsync);
        time.Advance(CopyWatch.Deadline / 4);
        var own = watches.WithinAsync(stalled, "GPU-3", NeverAsync);
        time.Advance(CopyWatch.Deadline / 2);

        // What has just begun says nothing yet.
        var young = watches.WithinAsync(other, NeverAsync);
        await StallAsync(time, between, "from GPU-1 to GPU-2", CopyWatch.Deadline / 4);

        var refused = await Assert.ThrowsAsync<IOException>(() => watches.WithinAsync(stalled, () => Task.CompletedTask));
        Assert.Contains(stalled, refused.Message, StringComparison.Ordinal);
        await Assert.ThrowsAsync<IOException>(() => watches.WithinAsync(other, stalled, () => Task.CompletedTask));
        await watches.WithinAsync(other, "GPU-3", () => Task.CompletedTask);
        Assert.False(own.IsCompleted || young.IsCompleted);
    }

    [Fact]
    public async Task Device_is_not_judged_by_what_comes_back_from_the_one_that_stalled()
    {
        var time = new VirtualTime();
        var watches = new CopyWatches(time);
        var there = watches.WithinAsync("GPU-1", "GPU-2", NeverAsync);
        var back = watches.WithinAsync("GPU-2", "GPU-1", NeverAsync);
        var own = watches.WithinAsync("GPU-2", NeverAsync);
        await StallAsync(time, there, "from GPU-1 to GPU-2");
        await Assert.ThrowsAsync<StalledDeviceException>(() => back.WaitAsync(StoreFixture.Deadline));
        await Assert.ThrowsAsync<StalledDeviceException>(() => own.WaitAsync(StoreFixture.Deadline));

        await Assert.ThrowsAsync<IOException>(() => watches.WithinAsync("GPU-2", "GPU-3", () => Task.CompletedTask));
        await watches.WithinAsync("GPU-1", () => Task.CompletedTask);
        await watches.WithinAsync("GPU-1", "GPU-3", () => Task.CompletedTask);
    }

    [Fact]
    public async Task Device_is_not_judged_by_a_third_that_stalled_before()
    {
        var time = new VirtualTime();
        var watches = new CopyWatches(time);
        var third = watches.WithinAsync("GPU-3", NeverAsync);
        await StallAsync(time, watches.WithinAsync("GPU-1", "GPU-3", NeverAsync), "from GPU-1 to GPU-3");
        await Assert.ThrowsAsync<StalledDeviceException>(() => third.WaitAsync(StoreFixture.Deadline));

        await StallAsync(time, watches.WithinAsync("GPU-1", "GPU-2", NeverAsync), "from GPU-1 to GPU-2");

        await watches.WithinAsync("GPU-1", () => Task.CompletedTask);
        await watches.WithinAsync("GPU-2", () => Task.CompletedTask);
    }

    [Fact]
    public async Task Copies_that_nobody_can_tell_the_end_of_count_as_stalled_at_once()
    {
        var watch = new CopyWatch("GPU-7", new VirtualTime());
        var cause = new NativeException("CUDA", "cuMemcpyPeerAsync", 214, "uncorrectable ECC error encountered", "GPU-7");

        var stalled = await Assert.ThrowsAsync<StalledDeviceException>(() => watch.WithinAsync(() => throw new LostCopiesException(cause)).WaitAsync(StoreFixture.Deadline));

        Assert.Contains("uncorrectable ECC error", stalled.Message, StringComparison.Ordinal);
        Assert.True(watch.IsStalled);
    }

    [Fact]
    public async Task Write_to_a_stalled_gpu_fails_by_name_and_keeps_the_block_and_leaves_room_for_other_writes()
    {
        var store = await _taker.OpenAsync(gpus: Host);
        var givenUp = GivenUpMemory.Bytes;
        for (var stall = 0; stall < Stalls; stall++)
        {
            var (shard, bytes) = _taker.NewShard(Size);
            var failure = await Assert.ThrowsAsync<StoreException>(() => Stalling(async () =>
            {
                await store.PutAsync(shard, bytes, ShardTarget.InGpu(0));
                return true;
            }));
            Assert.Equal(StoreError.Io, failure.Error);
            Assert.Contains("host-0 has not ended a copy", failure.Message, StringComparison.Ordinal);
            Assert.False(store.Contains(shard.Digest));
        }

        // The blocks, and the slots of staging memory.
        Assert.True(GivenUpMemory.Bytes - givenUp >= 2 * Stalls * Size);
        Assert.Equal((0, Stalls * Size), (Gpu(store).Shards, Gpu(store).Bytes));
        var (next, nextBytes) = _taker.NewShard(Size);
        await store.PutAsync(next, nextBytes, ShardTarget.InGpu(0)).WaitAsync(StoreFixture.Deadline);
        Assert.Equal(nextBytes, await store.GetAsync(next.Digest));
    }

    [Fact]
    public async Task Copy_from_another_node_s_gpu_that_stalls_keeps_the_block()
    {
        await _owner.OpenAsync(gpus: Host);
        var store = await _taker.OpenAsync(gpus: Host);
        var (shard, bytes) = _owner.NewShard(Size);
        await _owner.Store.PutAsync(shard, bytes, ShardTarget.InGpu(0));
        using var lease = await _owner.Store.LeaseInGpuAsync(shard.Digest, StoreFixture.Deadline);
        var gpus = store.OpenForeignGpus(ForeignArena.TryOpen(_owner.Store.Arena!.Path, out _)!, out _)!;
        Task<bool> AdoptAsync() => store.AdoptAsync(shard, gpus, 0, lease!.Value.Offset, 0, () => true, StoreFixture.Deadline).AsTask();

        await Assert.ThrowsAsync<StalledDeviceException>(() => Stalling(AdoptAsync));

        Assert.Equal((false, Size), (store.Contains(shard.Digest), Gpu(store).Bytes));
        Assert.True(await AdoptAsync());
        Assert.Equal(2 * Size, Gpu(store).Bytes);
        gpus.EndUse();
    }

    [Fact]
    public async Task Promise_is_asked_for_when_the_copy_has_ended()
    {
        await _owner.OpenAsync(gpus: Host);
        var store = await _taker.OpenAsync(gpus: Host);
        var (shard, bytes) = _owner.NewShard(Size);
        await _owner.Store.PutAsync(shard, bytes, ShardTarget.InGpu(0));
        using var lease = await _owner.Store.LeaseInGpuAsync(shard.Digest, StoreFixture.Deadline);
        var gpus = store.OpenForeignGpus(ForeignArena.TryOpen(_owner.Store.Arena!.Path, out _)!, out _)!;
        var holds = true;

        // The lease ends while the copy is under way.
        var adopted = await AtCopy(() => holds = false, () => store.AdoptAsync(shard, gpus, 0, lease!.Value.Offset, 0, () => holds, StoreFixture.Deadline).AsTask());

        Assert.False(adopted);
        Assert.Equal((false, 0L), (store.Contains(shard.Digest), Gpu(store).Bytes));
        gpus.EndUse();
    }

    private static Task NeverAsync() => new TaskCompletionSource().Task;

    /// <summary>Lets time pass until a copy is given up.</summary>
    private static async Task StallAsync(VirtualTime time, Task copying, string name, TimeSpan? left = null)
    {
        time.Advance(left ?? CopyWatch.Deadline);
        Assert.Contains(name, (await Assert.ThrowsAsync<StalledDeviceException>(() => copying.WaitAsync(StoreFixture.Deadline))).Message, StringComparison.Ordinal);
    }

    private static TierUsage Gpu(ShardStore store) => store.Usage.Tiers.Single(tier => tier.Tier == Tiers.Gpu);

    private static Task<T> Stalling<T>(Func<Task<T>> act) => AtCopy(() => throw new StalledDeviceException("host-0", CopyWatch.Deadline), act);

    /// <summary>Has something happen when what is begun here comes to a device's copy.</summary>
    private static Task<T> AtCopy<T>(Action happens, Func<Task<T>> act) => Task.Run(() =>
    {
        FaultPoints.Watch(point =>
        {
            if (point == FaultPoint.DeviceCopies)
            {
                happens();
            }
        });
        return act();
    });
}
