namespace P2PWeights.Transfer.Tests.Paths.Rdma;

/// <summary>Whole pulls over the path <c>rdma</c>, and what becomes of them when it fails.</summary>
[NeedsRdma]
public sealed class RdmaPullTests
{
    private static readonly TransferOptions BothPaths = new() { Paths = [PathNames.Rdma, PathNames.Tcp] };

    [PathFact]
    public async Task Pull_takes_every_shard_by_rdma_and_says_so()
    {
        var checkpoint = TestCheckpoint.Uniform(8, 2 << 20);
        await using var source = await TestNode.StartAsync("source", BothPaths);
        await using var node = await TestNode.StartAsync("node", BothPaths);
        await source.HoldAsync(checkpoint);
        node.Meet(checkpoint, source.Info);

        var report = await node.PullAsync(checkpoint);

        await node.AssertHoldsAsync(checkpoint);
        var path = Assert.Single(Assert.Single(report.Sources).Paths, path => path.Shards > 0);
        Assert.Equal((PathNames.Rdma, 8, checkpoint.TotalBytes), (path.Path, path.Shards, path.Bytes));
    }

    [PathFact]
    public async Task Pull_goes_on_by_tcp_when_every_device_fails_and_the_peer_status_names_the_reason()
    {
        var checkpoint = TestCheckpoint.Uniform(8, 2 << 20);
        await using var source = await TestNode.StartAsync("source", BothPaths);
        await using var node = await TestNode.StartAsync("node", BothPaths);
        await source.HoldAsync(checkpoint);
        node.Meet(checkpoint, source.Info);
        await node.PullAsync(checkpoint, wanted: [0]);
        foreach (var device in await node.Transfer.Rdma!.GetDevicesAsync(TestNode.Deadline))
        {
            device.Fail($"port 1 of {device.Name} went down", isGone: true);
        }

        var report = await node.PullAsync(checkpoint);

        await node.AssertHoldsAsync(checkpoint);
        var paths = Assert.Single(report.Sources).Paths;
        Assert.Equal(7, Assert.Single(paths, path => path.Path == PathNames.Tcp).Shards);
        var rdma = Assert.Single(Assert.Single(node.Transfer.Peers).Paths, path => path.Carried.Path == PathNames.Rdma);
        Assert.Equal("demoted", rdma.State);
        Assert.Contains("went down", rdma.Detail, StringComparison.Ordinal);
    }
}
