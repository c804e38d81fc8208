using P2PWeights.Store;
using P2PWeights.Transfer.Connections;
using P2PWeights.Transfer.Paths.Rdma;

namespace P2PWeights.Transfer.Tests.Paths.Rdma;

/// <summary>Whole pulls over the path <c>rdma</c>, and what becomes of them when it fails.</summary>
[NeedsRdma]
public sealed class RdmaPullTests
{
    private const int Shards = 6;

    /// <summary>Where processors are emulated, the first shard takes as long as compiling the code that fetches it.</summary>
    private static readonly TransferOptions BothPaths = new() { Paths = [PathNames.Rdma, PathNames.Tcp], StallTimeout = TimeSpan.FromSeconds(30) };

    [PathFact]
    public async Task Pull_takes_every_shard_by_rdma_and_says_so()
    {
        var checkpoint = TestCheckpoint.Uniform(Shards, 1 << 20);
        await using var source = await StartAsync("source", BothPaths);
        await using var node = await StartAsync("node", BothPaths);
        await source.HoldAsync(checkpoint);
        node.Meet(checkpoint, source.Info);

        var report = await node.PullAsync(checkpoint);

        await node.AssertHoldsAsync(checkpoint);
        var path = Assert.Single(Assert.Single(report.Sources).Paths);
        Assert.True(path.Path == PathNames.Rdma, $"{path.Path}: {Describe(node)}");
        Assert.Equal((Shards, checkpoint.TotalBytes), (path.Shards, path.Bytes));
        Assert.Empty(path.Failures);
    }

    [PathFact]
    public async Task Second_version_moves_what_changed_by_rdma_and_no_more()
    {
        await using var source = await StartAsync("source", BothPaths);
        await using var node = await StartAsync("node", BothPaths);

        var (second, path) = await SecondVersion.PullAsync(source, node);

        await node.AssertHoldsAsync(second);
        Assert.True((path.Path, path.Shards, path.Bytes) == (PathNames.Rdma, 1, SecondVersion.ShardBytes), $"{path.Path}, {path.Shards} shards: {Describe(node)}");
    }

    [PathFact]
    public async Task Pull_in_which_every_device_fails_goes_on_by_tcp_and_names_the_reason()
    {
        var checkpoint = TestCheckpoint.Uniform(Shards, 1 << 20);
        await using var source = await StartAsync("source", BothPaths);
        CutPath? cut = null;
        await using var node = await StartAsync("node", BothPaths, name => name == PathNames.Rdma ? cut = new CutPath(shards: 2) : null);
        cut!.Host = node.Transfer.Rdma!;
        await source.HoldAsync(checkpoint);
        node.Meet(checkpoint, source.Info);

        var report = await node.PullAsync(checkpoint);

        await node.AssertHoldsAsync(checkpoint);
        var paths = Assert.Single(report.Sources).Paths.ToDictionary(path => path.Path);
        Assert.InRange(paths[PathNames.Rdma].Shards, 1, 2);
        Assert.Equal(Shards, paths[PathNames.Rdma].Shards + paths[PathNames.Tcp].Shards);
        Assert.Contains(FailureReasons.DeviceLost, paths[PathNames.Rdma].Failures);
        var rdma = Assert.Single(Assert.Single(node.Transfer.Peers).Paths, path => path.Carried.Path == PathNames.Rdma);
        Assert.Equal("demoted", rdma.State);
        Assert.Contains("the test pulled the cable", rdma.Detail, StringComparison.Ordinal);
    }

    /// <summary>A node whose devices are open: one that only just started pulls by TCP until they are.</summary>
    private static async Task<TestNode> StartAsync(string name, TransferOptions options, Func<string, ITransferPath?>? paths = null)
    {
        var node = await TestNode.StartAsync(name, options, paths: paths);
        await node.Transfer.Rdma!.Ready.WaitAsync(TestNode.Deadline);
        return node;
    }

    private static string Describe(TestNode node) => string.Join("; ", node.Transfer.Peers.SelectMany(peer => peer.Paths));

    /// <summary>The path <c>rdma</c> of a node whose devices all fail when one shard more is asked for than <paramref name="shards"/>.</summary>
    private sealed class CutPath(int shards) : ITransferPath
    {
        private readonly Lock _gate = new();
        private Task? _cut;
        private int _asked;

        public RdmaHost Host { get; set; } = null!;

        public string Name => PathNames.Rdma;

        public async ValueTask<PathOpening> OpenAsync(PeerSession peer, CancellationToken cancellationToken)
        {
            var opening = await new RdmaPath(Host, new ByteRate(0), TimeProvider.System).OpenAsync(peer, cancellationToken);
            return opening.Channel is { } channel ? PathOpening.Open(new CutChannel(this, channel)) : opening;
        }

        private Task CutWhenDueAsync()
        {
            lock (_gate)
            {
                return ++_asked > shards ? _cut ??= CutAsync() : Task.CompletedTask;
            }
        }

        private async Task CutAsync()
        {
            foreach (var device in await Host.GetDevicesAsync(TestNode.Deadline))
            {
                device.Fail($"the test pulled the cable of {device.Name}", isGone: true);
            }
        }

        private sealed class CutChannel(CutPath path, IPathChannel channel) : IPathChannel
        {
            public async ValueTask<FetchOutcome> FetchAsync(ShardWrite write, Action<int> received, CancellationToken cancellationToken)
            {
                await path.CutWhenDueAsync();
                return await channel.FetchAsync(write, received, cancellationToken);
            }

            public string? TakeLoss() => channel.TakeLoss();

            public ValueTask DisposeAsync() => channel.DisposeAsync();
        }
    }
}
