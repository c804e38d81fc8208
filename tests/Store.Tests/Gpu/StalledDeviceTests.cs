using P2PWeights.Store.Adopting;
using P2PWeights.Store.Content;
using P2PWeights.Store.Gpu;
using P2PWeights.Testing;

namespace P2PWeights.Store.Tests.Gpu;

/// <summary>A device that does not end a copy: the operation fails with its name, and what it may still write to is used by nobody again.</summary>
public sealed class StalledDeviceTests : IAsyncDisposable
{
    private const int Size = 1 << 20;

    /// <summary>As many as there are slots of staging memory, and one more.</summary>
    private const int Stalls = 9;

    private static readonly GpuMemory Host = new("host-0", 32 << 20);

    private readonly StoreFixture _owner = new();
    private readonly StoreFixture _taker = new();

    public async ValueTask DisposeAsync()
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
    public async Task Write_to_a_stalled_gpu_fails_by_name_and_keeps_the_block_and_leaves_room_for_other_writes()
    {
        var store = await _taker.OpenAsync(gpus: Host);
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
