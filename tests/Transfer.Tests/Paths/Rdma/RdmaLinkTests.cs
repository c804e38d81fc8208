using System.Diagnostics;
using P2PWeights.Testing;
using P2PWeights.Transfer.Paths.Rdma;

namespace P2PWeights.Transfer.Tests.Paths.Rdma;

/// <summary>Cables that are cut while shards are read through them. What the kernel and the devices do then is part of the test.</summary>
[NeedsRails]
public sealed class RdmaLinkTests
{
    private const int Shards = 40;
    private const int ShardBytes = 1 << 20;

    [PathFact]
    public async Task Pull_whose_cables_are_cut_goes_on_over_the_other_and_then_by_tcp_and_names_the_ports()
    {
        var checkpoint = TestCheckpoint.Uniform(Shards, ShardBytes);
        await using var source = await TestNode.StartAsync("source", OptionsOf("rxp0", "rxp1"));
        await using var node = await TestNode.StartAsync("node", OptionsOf("rxe0", "rxe1"));
        await source.Transfer.Rdma!.Ready.WaitAsync(TestNode.Deadline);
        await node.Transfer.Rdma!.Ready.WaitAsync(TestNode.Deadline);
        await source.HoldAsync(checkpoint);
        node.Meet(checkpoint, source.Info);
        try
        {
            var progress = new LastProgress();
            var pulling = node.PullAsync(checkpoint, progress: progress);
            await BytesAsync(progress, PathNames.Rdma, 4 * ShardBytes);
            await RailAsync(0, "down");
            await Eventually.HoldsAsync(() => DevicesOf(node).Count == 1, "the node sees that a port is down");
            await BytesAsync(progress, PathNames.Rdma, progress.Of(PathNames.Rdma) + (8 * ShardBytes));
            Assert.Equal(0, progress.Of(PathNames.Tcp));
            await Eventually.HoldsAsync(() => RdmaOf(node).Failures.Count > 0, "what was lost with the first cable is counted, though no shard was");
            await RailAsync(1, "down");
            var report = await pulling;

            await node.AssertHoldsAsync(checkpoint);
            var paths = Assert.Single(report.Sources).Paths.ToDictionary(path => path.Path);
            Assert.InRange(paths[PathNames.Rdma].Shards, 10, Shards - 1);
            Assert.Equal(Shards, paths[PathNames.Rdma].Shards + paths[PathNames.Tcp].Shards);

            // Who sees first that the last cable is cut is a race: a port of this node, a read that it fails, or the source, which then refuses the next lease.
            string[] reasons = [FailureReasons.DeviceLost, FailureReasons.LaneLost, FailureReasons.Refused];
            Assert.True(paths[PathNames.Rdma].Failures.Keys.Intersect(reasons).Any(), string.Join(", ", paths[PathNames.Rdma].Failures.Keys));
            var rdma = Assert.Single(Assert.Single(node.Transfer.Peers).Paths, path => path.Carried.Path == PathNames.Rdma);
            Assert.Contains("went down", rdma.Detail, StringComparison.Ordinal);
            var lost = await Assert.ThrowsAsync<TransferException>(async () => await node.Transfer.Rdma.GetDevicesAsync(TestNode.Deadline));
            Assert.All(["rxe0", "rxe1"], device => Assert.Contains($"port {device}:1 went down", lost.Message, StringComparison.Ordinal));
        }
        finally
        {
            await RailAsync(0, "up");
            await RailAsync(1, "up");
        }
    }

    /// <summary>No byte for a while is no reason here to leave a path: only what a cut does to the devices is. The rate leaves time to cut.</summary>
    private static TransferOptions OptionsOf(params string[] devices) => new()
    {
        Paths = [PathNames.Rdma, PathNames.Tcp],
        RdmaDevices = devices,
        StallTimeout = TimeSpan.FromSeconds(30),
        DownloadBytesPerSecond = 4 << 20,
    };

    private static Task BytesAsync(LastProgress progress, string path, long bytes) => Eventually.HoldsAsync(() => progress.Of(path) >= bytes, $"{bytes} bytes by {path}");

    /// <summary>The devices that work.</summary>
    private static IReadOnlyList<RdmaDevice> DevicesOf(TestNode node)
    {
        // Once they are open the answer is there at once.
        var devices = node.Transfer.Rdma!.GetDevicesAsync(TestNode.Deadline).AsTask();
        return devices.IsCompletedSuccessfully ? devices.Result : [];
    }

    /// <summary>What the path carried from the source, and lost.</summary>
    private static PathReport RdmaOf(TestNode node) => Assert.Single(Assert.Single(node.Transfer.Peers).Paths, path => path.Carried.Path == PathNames.Rdma).Carried;

    private static async Task RailAsync(int rail, string state)
    {
        using var process = Process.Start(NeedsRailsAttribute.Rail, [$"{rail}", state]);
        await process.WaitForExitAsync(TestNode.Deadline);
        Assert.Equal(0, process.ExitCode);
    }

    /// <summary>How far a pull is.</summary>
    private sealed class LastProgress : IProgress<PullProgress>
    {
        private volatile PullProgress? _last;

        public long Of(string path) => _last?.Paths?.FirstOrDefault(carried => carried.Path == path)?.Bytes ?? 0;

        public void Report(PullProgress value) => _last = value;
    }
}
