using P2PWeights.Native.Cuda;
using P2PWeights.Store;
using P2PWeights.Testing;
using P2PWeights.Transfer.Tests.Paths.Local;

namespace P2PWeights.Transfer.Tests.Paths.Nvlink;

/// <summary>Whole pulls into GPUs, and out of them; in the place of a GPU stands memory of the host.</summary>
public sealed class NvlinkPullTests
{
    private const int GpuBytes = 64 << 20;

    private static readonly ShardTarget IntoGpu = ShardTarget.InGpu(0);

    [Fact]
    public async Task Pull_into_a_gpu_takes_every_shard_from_the_peer_s_gpu_and_sends_nothing()
    {
        var checkpoint = TestCheckpoint.Create(1, 4097, 1 << 20, 9 << 20);
        await using var source = await StartAsync("source", GpuBytes);
        await using var node = await StartAsync("node", GpuBytes);
        await source.HoldAsync(checkpoint);
        node.Meet(checkpoint, source.Info);

        var report = await node.PullAsync(checkpoint, IntoGpu);

        var path = Assert.Single(Assert.Single(report.Sources).Paths);
        Assert.Equal((PathNames.Nvlink, 4, checkpoint.TotalBytes), (path.Path, path.Shards, path.Bytes));
        Assert.All(checkpoint.Manifest.Shards, shard => Assert.Equal(Tiers.Gpu, node.Store.Locate(shard.Digest)));
        await node.AssertHoldsAsync(checkpoint);
    }

    [Fact]
    public async Task Pull_into_a_gpu_takes_what_the_peer_has_in_memory_by_the_next_path_without_a_failure()
    {
        var checkpoint = TestCheckpoint.Uniform(6, 1 << 20);
        await using var source = await StartAsync("source", GpuBytes);
        await using var node = await StartAsync("node", GpuBytes);
        await source.HoldAsync(checkpoint, default(ShardTarget), 0, 1, 2, 3);
        await source.HoldAsync(checkpoint, 4, 5);
        node.Meet(checkpoint, source.Info);

        var report = await node.PullAsync(checkpoint, IntoGpu);

        var paths = Assert.Single(report.Sources).Paths;
        Assert.Equal([(PathNames.Nvlink, 2), (PathNames.Local, 4)], paths.Select(path => (path.Path, path.Shards)));
        Assert.All(paths, path => Assert.Empty(path.Failures));
        Assert.All(checkpoint.Manifest.Shards, shard => Assert.Equal(Tiers.Gpu, node.Store.Locate(shard.Digest)));
        await node.AssertHoldsAsync(checkpoint);
    }

    [Fact]
    public async Task Second_version_moves_what_changed_from_gpu_to_gpu_and_no_more()
    {
        await using var source = await StartAsync("source", GpuBytes);
        await using var node = await StartAsync("node", GpuBytes);

        var (second, path) = await SecondVersion.PullAsync(source, node, IntoGpu);

        Assert.Equal((PathNames.Nvlink, 1, SecondVersion.ShardBytes), (path.Path, path.Shards, path.Bytes));
        Assert.All(second.Manifest.Shards, shard => Assert.Equal(Tiers.Gpu, node.Store.Locate(shard.Digest)));
        await node.AssertHoldsAsync(second);
    }

    [Theory]
    [InlineData(PathNames.Tcp)]
    [InlineData(PathNames.Local)]
    public async Task Shards_on_a_gpu_are_served_to_others_through_memory(string path)
    {
        var checkpoint = TestCheckpoint.Create(1, 4097, 1 << 20, 9 << 20);
        await using var source = await StartAsync("source", GpuBytes);
        await using var node = await TestNode.StartAsync("node", new TransferOptions { Paths = [path] });
        await source.HoldAsync(checkpoint);
        node.Meet(checkpoint, source.Info);

        var report = await node.PullAsync(checkpoint);

        Assert.Equal(path, Assert.Single(Assert.Single(report.Sources).Paths).Path);
        Assert.All(checkpoint.Manifest.Shards, shard => Assert.Equal(Tiers.Gpu | Tiers.Memory, source.Store.Locate(shard.Digest)));
        await node.AssertHoldsAsync(checkpoint);
    }

    [Fact]
    public async Task Pull_into_a_gpu_of_what_the_node_holds_in_memory_copies_it_there()
    {
        var checkpoint = TestCheckpoint.Uniform(6, 1 << 20);
        await using var node = await StartAsync("node", GpuBytes);
        await node.HoldAsync(checkpoint, default(ShardTarget));

        var report = await node.PullAsync(checkpoint, IntoGpu);

        Assert.Equal((checkpoint.TotalBytes, 0), (report.BytesReused, report.BytesFetched));
        Assert.All(checkpoint.Manifest.Shards, shard => Assert.Equal(Tiers.Gpu | Tiers.Memory, node.Store.Locate(shard.Digest)));
    }

    [Fact]
    public async Task Pull_into_a_gpu_of_what_another_gpu_of_the_node_holds_moves_it_and_takes_no_room_in_memory()
    {
        var checkpoint = TestCheckpoint.Uniform(6, 1 << 20);
        await using var node = await TestNode.StartAsync("node", gpus: [new GpuMemory("host-0", GpuBytes), new GpuMemory("host-1", GpuBytes)]);
        await node.HoldAsync(checkpoint);

        var report = await node.PullAsync(checkpoint, ShardTarget.InGpu(1));

        Assert.Equal((checkpoint.TotalBytes, 0), (report.BytesReused, report.BytesFetched));
        Assert.All(checkpoint.Manifest.Shards, shard => Assert.Equal((Tiers.Gpu, 1), (node.Store.Locate(shard.Digest), node.Store.GpuOf(shard.Digest))));
        await node.AssertHoldsAsync(checkpoint);
    }

    [Fact]
    public async Task Pull_into_a_gpu_over_tcp_alone_ends_there_too()
    {
        var checkpoint = TestCheckpoint.Uniform(6, 1 << 20);
        await using var source = await TestNode.StartAsync("source");
        await using var node = await TestNode.StartAsync("node", gpu: GpuBytes);
        await source.HoldAsync(checkpoint);
        node.Meet(checkpoint, source.Info);

        await node.PullAsync(checkpoint, IntoGpu);

        Assert.All(checkpoint.Manifest.Shards, shard => Assert.Equal(Tiers.Gpu, node.Store.Locate(shard.Digest)));
        await node.AssertHoldsAsync(checkpoint);
    }

    [Fact]
    public async Task Pull_into_a_gpu_that_is_too_small_fails_with_the_numbers_and_keeps_what_came()
    {
        var checkpoint = TestCheckpoint.Uniform(3, 16 << 20);
        await using var source = await StartAsync("source", GpuBytes);
        await using var node = await StartAsync("node", 32 << 20);
        await source.HoldAsync(checkpoint);
        node.Meet(checkpoint, source.Info);

        var full = await Assert.ThrowsAsync<StoreException>(() => node.PullAsync(checkpoint, IntoGpu));

        Assert.Equal(StoreError.Full, full.Error);
        Assert.Contains("--gpu-memory", full.Message, StringComparison.Ordinal);
        Assert.Equal(2, checkpoint.Manifest.Shards.Count(shard => node.Store.Contains(shard.Digest)));
    }

    [Fact]
    public async Task Node_without_a_gpu_tier_has_no_path_to_gpus()
    {
        var checkpoint = TestCheckpoint.Uniform(2, 1 << 20);
        await using var source = await StartAsync("source", GpuBytes);
        await using var node = await TestNode.StartAsync("node", new TransferOptions());
        await source.HoldAsync(checkpoint);
        node.Meet(checkpoint, source.Info);

        await node.PullAsync(checkpoint);

        Assert.DoesNotContain(Assert.Single(node.Transfer.Peers).Paths, path => path.Carried.Path == PathNames.Nvlink);
    }

    /// <summary>Two processes, as CUDA wants it: who exported memory cannot open it.</summary>
    [CudaFact]
    public async Task Pull_from_one_real_gpu_to_another_process_s_is_right()
    {
        using var folder = new Testing.TempFolder();
        var checkpoint = TestCheckpoint.Seed(new Testing.Seeded(), SourceProcess.Shards, SourceProcess.ShardBytes);
        using var source = await SourceProcess.StartAsync(folder, checkpoint.Seeded.Seed, gpu: "0");
        await using var node = await TestNode.StartAsync("node", new TransferOptions(), gpus: [new GpuMemory(CudaDevice.Count > 1 ? "1" : "0", GpuBytes)]);
        node.Meet(checkpoint, source.Info);

        var report = await node.PullAsync(checkpoint, IntoGpu);

        var path = Assert.Single(Assert.Single(report.Sources).Paths);
        Assert.True(path is { Path: PathNames.Nvlink, Shards: SourceProcess.Shards }, $"{path.Path}: {string.Join("; ", node.Transfer.Peers[0].Paths.Select(tried => tried.Detail))}");
        await node.AssertHoldsAsync(checkpoint);
    }

    private static Task<TestNode> StartAsync(string name, long gpu) => TestNode.StartAsync(name, new TransferOptions { StallTimeout = TestNode.Steady.StallTimeout }, gpu: gpu);
}
