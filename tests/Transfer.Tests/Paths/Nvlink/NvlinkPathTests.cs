using P2PWeights.Store;
using P2PWeights.Store.Content;
using P2PWeights.Testing;
using P2PWeights.Transfer.Paths.Nvlink;

namespace P2PWeights.Transfer.Tests.Paths.Nvlink;

/// <summary>The path contract over memory of the host in the place of GPUs.</summary>
public sealed class NvlinkPathTests : LeasedPathContract
{
    private const int GpuBytes = 64 << 20;

    private protected override bool ReachesSourceWithoutMemory => false;

    private protected override ITransferPath NewPath(TestNode node) => new NvlinkPath(node.Store);

    private protected override Task<TestNode> StartNodeAsync(string name, long memoryBytes) => StartAsync(name, memory: memoryBytes);

    private protected override Task<TestNode> StartSourceAsync(TimeProvider time) => StartAsync("source", time);

    private protected override string FileOf(TestNode source, Digest digest) => Path.Combine(Path.GetDirectoryName(source.Store.Arena!.Path)!, "gpu-host-0");

    private protected override async Task CorruptAsync(TestNode source, Digest digest, int at)
    {
        using var lease = await source.Store.LeaseInGpuAsync(digest, TestNode.Deadline);
        var offset = lease!.Value.Offset + at;
        using var file = File.OpenHandle(FileOf(source, digest), FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite | FileShare.Delete);
        var one = new byte[1];
        RandomAccess.Read(file, one, offset);
        one[0] ^= 1;
        RandomAccess.Write(file, one, offset);
    }

    [Fact]
    public async Task Shard_for_a_gpu_goes_there_from_the_peer_s_and_is_given_back()
    {
        var checkpoint = TestCheckpoint.Create(1, 70_000, 16 << 20);
        await using var pair = await OpenAsync();
        await pair.Source.HoldAsync(checkpoint);

        foreach (var shard in checkpoint.Manifest.Shards)
        {
            Assert.Equal(FetchStatus.Ok, (await pair.Channel.AdoptAsync(shard, ShardTarget.InGpu(0), _ => { }, TestNode.Deadline)).Status);
            Assert.Equal(Tiers.Gpu, pair.Node.Store.Locate(shard.Digest));
        }

        await Eventually.HoldsAsync(() => pair.Source.Store.Usage.Leases == 0, "the leases were given back");
        Assert.True(pair.Proxy.ToCaller.Bytes < 64 << 10, pair.Proxy.ToString());
        await pair.Node.AssertHoldsAsync(checkpoint);
    }

    [Fact]
    public async Task Wrong_bytes_that_a_gpu_took_over_reach_no_reader()
    {
        var checkpoint = TestCheckpoint.Create(1 << 20);
        var shard = checkpoint.Manifest.Shards[0];
        await using var pair = await OpenAsync();
        await pair.Source.HoldAsync(checkpoint);
        await CorruptAsync(pair.Source, shard.Digest, checkpoint.Seeded.Random.Next(shard.Size));

        Assert.Equal(FetchStatus.Ok, (await pair.Channel.AdoptAsync(shard, ShardTarget.InGpu(0), _ => { }, TestNode.Deadline)).Status);

        Assert.Null(await pair.Node.Store.LeaseInGpuAsync(shard.Digest, TestNode.Deadline));
        Assert.False(pair.Node.Store.Contains(shard.Digest), checkpoint.Seeded.ToString());
    }

    [Fact]
    public async Task Shard_that_the_peer_has_elsewhere_or_that_goes_elsewhere_is_left_to_other_paths()
    {
        var checkpoint = TestCheckpoint.Create(5000, 6000);
        await using var pair = await OpenAsync();
        await pair.Source.HoldAsync(checkpoint, default(ShardTarget), 0);
        await pair.Source.HoldAsync(checkpoint, 1);

        var inMemory = await pair.Channel.AdoptAsync(checkpoint.Manifest.Shards[0], ShardTarget.InGpu(0), _ => { }, TestNode.Deadline);
        var toMemory = await pair.Channel.AdoptAsync(checkpoint.Manifest.Shards[1], default, _ => { }, TestNode.Deadline);

        Assert.Equal((FetchStatus.NotCarried, "the shard is on no GPU of this node"), (inMemory.Status, inMemory.Detail));
        Assert.Equal(FetchStatus.NotCarried, toMemory.Status);
    }

    [Fact]
    public async Task Shard_that_finds_no_room_on_the_gpu_is_an_error_of_the_store()
    {
        var checkpoint = TestCheckpoint.Uniform(2, 16 << 20);
        var node = await StartAsync("node", gpu: 16 << 20);
        await using var pair = await PathPair.OpenAsync(await StartAsync("source"), node, NewPath(node));
        await pair.Source.HoldAsync(checkpoint);
        using var pin = pair.Node.Store.Pin(checkpoint.Manifest.Shards.Select(shard => shard.Digest));
        await pair.Channel.AdoptAsync(checkpoint.Manifest.Shards[0], ShardTarget.InGpu(0), _ => { }, TestNode.Deadline);

        var full = await Assert.ThrowsAsync<StoreException>(() => pair.Channel.AdoptAsync(checkpoint.Manifest.Shards[1], ShardTarget.InGpu(0), _ => { }, TestNode.Deadline).AsTask());

        Assert.Equal(StoreError.Full, full.Error);
    }

    private static Task<TestNode> StartAsync(string name, TimeProvider? time = null, long memory = 64 << 20, long gpu = GpuBytes) =>
        TestNode.StartAsync(name, new TransferOptions(), memory, time: time, gpu: memory > 0 ? gpu : 0);
}
