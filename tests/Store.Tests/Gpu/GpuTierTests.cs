using P2PWeights.Store.Content;
using P2PWeights.Testing;

namespace P2PWeights.Store.Tests.Gpu;

public sealed class GpuTierTests : IAsyncLifetime
{
    private const int MiB = 1 << 20;

    private static readonly GpuMemory Host = new("host-0", 32 * MiB);

    private readonly StoreFixture _fixture = new();

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync() => await _fixture.DisposeAsync();

    [Theory]
    [InlineData(1)]
    [InlineData(65_537)]
    [InlineData(16 * MiB)]
    public Task Shard_written_to_a_gpu_is_held_there_alone_and_read_back(int size) => HeldAndReadBackAsync(Host, size);

    [CudaFact]
    public async Task Shard_written_to_a_real_gpu_is_held_there_alone_and_read_back() => await HeldAndReadBackAsync(new GpuMemory("0", 32 * MiB), 5 * MiB + 3);

    [Fact]
    public async Task Shard_that_only_a_gpu_holds_is_leased_through_memory()
    {
        var store = await _fixture.OpenAsync(gpus: Host);
        var (shard, bytes) = _fixture.NewShard(300_000);
        await store.PutAsync(shard, bytes, ShardTarget.InGpu(0));

        // What has no file would be of no use to those who send files.
        using var lease = await store.LeaseAsync(shard.Digest, StoreFixture.Deadline);

        Assert.Equal((Tiers.Memory, store.Arena!.Path), (lease!.Value.Tier, lease.Value.Path));
        Assert.True(lease.Value.Memory.Span.SequenceEqual(bytes), _fixture.Seeded.ToString());
        Assert.Equal(Tiers.Memory | Tiers.Gpu, store.Locate(shard.Digest));
    }

    [Fact]
    public async Task Shard_of_a_gpu_that_finds_no_room_in_memory_is_refused_with_the_reason()
    {
        var store = await _fixture.OpenAsync(memory: 16 * MiB, gpus: Host);
        var (onGpu, onGpuBytes) = _fixture.NewShard(16 * MiB);
        await store.PutAsync(onGpu, onGpuBytes, ShardTarget.InGpu(0));
        var (kept, keptBytes) = _fixture.NewShard(16 * MiB);
        await store.PutAsync(kept, keptBytes);
        using (await store.LeaseAsync(kept.Digest, StoreFixture.Deadline))
        {
            var refusal = await Assert.ThrowsAsync<StoreException>(() => store.LeaseAsync(onGpu.Digest, StoreFixture.Deadline).AsTask());
            Assert.Equal(StoreError.Full, refusal.Error);
        }

        Assert.Equal(onGpuBytes, await store.GetAsync(onGpu.Digest));
    }

    [Fact]
    public async Task Pinned_shards_of_a_gpu_pass_through_memory_that_holds_one_of_them_and_stay_on_the_gpu()
    {
        var store = await _fixture.OpenAsync(memory: 16 * MiB, disk: 0, gpus: Host);
        var (first, firstBytes) = _fixture.NewShard(16 * MiB);
        var (second, secondBytes) = _fixture.NewShard(16 * MiB);
        await store.PutAsync(first, firstBytes, ShardTarget.InGpu(0));
        await store.PutAsync(second, secondBytes, ShardTarget.InGpu(0));
        using var pin = store.Pin([first.Digest, second.Digest]);

        await ReadAsync(first, firstBytes);
        await ReadAsync(second, secondBytes);
        await ReadAsync(first, firstBytes);

        Assert.Equal((Tiers.Memory | Tiers.Gpu, Tiers.Gpu), (store.Locate(first.Digest), store.Locate(second.Digest)));
        Assert.Equal(Tiers.Memory, await store.EvictAsync(first.Digest, Tiers.Memory | Tiers.Gpu, StoreFixture.Deadline));
        var (next, nextBytes) = _fixture.NewShard(16 * MiB);
        Assert.Equal(StoreError.Full, (await Assert.ThrowsAsync<StoreException>(() => store.PutAsync(next, nextBytes, ShardTarget.InGpu(0)))).Error);

        async Task ReadAsync(ShardInfo shard, byte[] bytes)
        {
            using var lease = await store.LeaseAsync(shard.Digest, StoreFixture.Deadline);
            Assert.Equal(Tiers.Memory, lease!.Value.Tier);
            Assert.True(lease.Value.Memory.Span.SequenceEqual(bytes), _fixture.Seeded.ToString());

            // Whoever reads it here keeps it here.
            Assert.Equal(Tiers.None, await store.EvictAsync(shard.Digest, Tiers.Memory, StoreFixture.Deadline));
        }
    }

    [Fact]
    public async Task Full_gpu_gives_up_what_was_used_least_lately_but_nothing_pinned_or_leased()
    {
        var store = await _fixture.OpenAsync(gpus: [Host, new GpuMemory("host-7", 16 * MiB)]);
        var shards = Enumerable.Range(0, 4).Select(_ => _fixture.NewShard(8 * MiB)).ToArray();
        foreach (var (shard, bytes) in shards)
        {
            await store.PutAsync(shard, bytes, ShardTarget.InGpu(0));
        }

        using var leased = await store.LeaseInGpuAsync(shards[0].Shard.Digest, StoreFixture.Deadline);
        var pin = store.Pin([shards[1].Shard.Digest]);
        var (next, nextBytes) = _fixture.NewShard(8 * MiB);
        await store.PutAsync(next, nextBytes, ShardTarget.InGpu(0));

        // Two: down to the low watermark.
        Assert.Equal([Tiers.Gpu, Tiers.Gpu, Tiers.None, Tiers.None], shards.Select(entry => store.Locate(entry.Shard.Digest)));

        // All of it leased or pinned: the other GPU still has room, and is not taken for this one.
        await store.PutAsync(shards[3].Shard, shards[3].Bytes, ShardTarget.InGpu(0));
        using var others = store.Pin([shards[3].Shard.Digest, next.Digest]);
        var (last, lastBytes) = _fixture.NewShard(8 * MiB);
        var full = await Assert.ThrowsAsync<StoreException>(() => store.PutAsync(last, lastBytes, ShardTarget.InGpu(0)));
        Assert.Equal(StoreError.Full, full.Error);
        Assert.Contains("GPU host-0", full.Message, StringComparison.Ordinal);
        await store.PutAsync(last, lastBytes, ShardTarget.InGpu(1));
        Assert.Equal(lastBytes, await store.GetAsync(last.Digest));
        pin.Dispose();
        await store.PutAsync(shards[2].Shard, shards[2].Bytes, ShardTarget.InGpu(0));
        Assert.Equal(Tiers.None, store.Locate(shards[1].Shard.Digest));
    }

    [Fact]
    public async Task Shard_that_is_put_on_another_gpu_moves_there_and_stays_for_those_who_lease_it_here()
    {
        var store = await _fixture.OpenAsync(gpus: [Host, new GpuMemory("host-1", 32 * MiB)]);
        var (shard, bytes) = _fixture.NewShard(MiB);
        await store.PutAsync(shard, bytes, ShardTarget.InGpu(0));
        using (var lease = await store.LeaseInGpuAsync(shard.Digest, StoreFixture.Deadline))
        {
            await store.PutAsync(shard, bytes, ShardTarget.InGpu(1));

            Assert.Equal((0, 1), (lease!.Value.Gpu, store.GpuOf(shard.Digest)));
            Assert.Equal((1, 2 * MiB), (Gpu(store).Shards, Gpu(store).Bytes));
            var read = new byte[MiB];
            await lease.Value.ReadAsync(read, StoreFixture.Deadline);
            Assert.True(read.AsSpan().SequenceEqual(bytes), _fixture.Seeded.ToString());
        }

        Assert.Equal(MiB, Gpu(store).Bytes);
        Assert.Equal(bytes, await store.GetAsync(shard.Digest));
    }

    [Fact]
    public async Task Shard_evicted_while_it_is_leased_there_stays_and_goes_after()
    {
        var store = await _fixture.OpenAsync(gpus: Host);
        var (shard, bytes) = _fixture.NewShard(MiB);
        await store.PutAsync(shard, bytes, ShardTarget.InGpu(0));
        var lease = await store.LeaseInGpuAsync(shard.Digest, StoreFixture.Deadline);

        Assert.Equal(Tiers.None, await store.EvictAsync(shard.Digest, Tiers.Gpu, StoreFixture.Deadline));
        lease!.Value.Dispose();
        Assert.Equal(Tiers.Gpu, await store.EvictAsync(shard.Digest, Tiers.Gpu, StoreFixture.Deadline));

        Assert.Equal(0, Gpu(store).Bytes);
        Assert.Null(await store.LeaseInGpuAsync(shard.Digest, StoreFixture.Deadline));
    }

    [Fact]
    public async Task Nothing_on_a_gpu_outlives_the_process_nor_do_its_files()
    {
        var store = await _fixture.OpenAsync(gpus: Host);
        var (shard, bytes) = _fixture.NewShard(MiB);
        await store.PutAsync(shard, bytes, ShardTarget.InGpu(0));
        var folder = Path.GetDirectoryName(store.Arena!.Path)!;
        Assert.Equal(["arena", "gpu", "gpu-host-0"], Directory.GetFiles(folder).Select(Path.GetFileName).Order());

        store = await _fixture.ReopenAsync();

        Assert.False(store.Contains(shard.Digest));
        Assert.Equal(["arena"], Directory.GetFiles(folder).Select(Path.GetFileName));
    }

    [Fact]
    public async Task Wrong_bytes_on_a_gpu_are_found_by_a_scrub_and_dropped()
    {
        var store = await _fixture.OpenAsync(gpus: Host);
        var (shard, bytes) = _fixture.NewShard(MiB);
        await store.PutAsync(shard, bytes, ShardTarget.InGpu(0));
        HostGpu.Corrupt(store, offset: 0);

        var report = await store.ScrubAsync([shard.Digest], bytesPerSecond: 0, progress: null, StoreFixture.Deadline);

        Assert.Equal((shard, Tiers.Gpu, "host-0"), Assert.Single(report.Wrong));
        Assert.False(store.Contains(shard.Digest));
    }

    [Theory]
    [InlineData("host-0", 15 * MiB, 64 * MiB)]
    [InlineData("host-", 32 * MiB, 64 * MiB)]
    [InlineData("host-64", 32 * MiB, 64 * MiB)]
    [InlineData("-1", 32 * MiB, 64 * MiB)]
    [InlineData("01", 32 * MiB, 64 * MiB)]
    [InlineData("../host-0", 32 * MiB, 64 * MiB)]
    [InlineData("host-0", 32 * MiB, 0)]
    public async Task Settings_that_make_no_sense_are_refused_before_anything_is_made(string device, long bytes, long memory)
    {
        var refusal = await Assert.ThrowsAsync<ArgumentException>(() => _fixture.OpenAsync(memory, gpus: new GpuMemory(device, bytes)));

        Assert.Contains(nameof(StoreOptions.GpuMemory), refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public Task The_same_gpu_twice_is_refused() => Assert.ThrowsAsync<ArgumentException>(() => _fixture.OpenAsync(gpus: [Host, Host]));

    [Fact]
    public async Task Gpu_that_is_not_there_is_named_with_the_way_out()
    {
        var failure = await Assert.ThrowsAsync<StoreException>(() => _fixture.OpenAsync(gpus: new GpuMemory("63", 32 * MiB)));

        Assert.Contains("GPU 63", failure.Message, StringComparison.Ordinal);
        Assert.Contains("--gpu-memory", failure.Message, StringComparison.Ordinal);
        await _fixture.OpenAsync();
    }

    private static TierUsage Gpu(ShardStore store) => store.Usage.Tiers.Single(tier => tier.Tier == Tiers.Gpu);

    private async Task HeldAndReadBackAsync(GpuMemory gpu, int size)
    {
        var store = await _fixture.OpenAsync(gpus: gpu);
        var (shard, bytes) = _fixture.NewShard(size);
        var before = store.Proofs;
        await store.PutAsync(shard, bytes, ShardTarget.InGpu(0));

        Assert.Equal(Tiers.Gpu, store.Locate(shard.Digest));
        Assert.Equal(1, Gpu(store).Shards);
        using (var lease = await store.LeaseInGpuAsync(shard.Digest, StoreFixture.Deadline))
        {
            var read = new byte[size];
            await lease!.Value.ReadAsync(read, StoreFixture.Deadline);
            Assert.True(read.AsSpan().SequenceEqual(bytes), _fixture.Seeded.ToString());
            await lease.Value.ReadAsync(size / 2, read.AsMemory(0, size - (size / 2)), StoreFixture.Deadline);
            Assert.True(read.AsSpan(0, size - (size / 2)).SequenceEqual(bytes.AsSpan(size / 2)), _fixture.Seeded.ToString());
            Assert.Equal(0, lease.Value.Gpu);
            Assert.Throws<InvalidOperationException>(() => lease.Value.File);
        }

        // Hashed on its way in, and not again.
        Assert.Equal(before, store.Proofs);
    }
}
