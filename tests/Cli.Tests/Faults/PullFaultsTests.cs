using System.Globalization;
using P2PWeights.Cli.Tests.Support;
using P2PWeights.Client;
using P2PWeights.Native.Posix;
using P2PWeights.Testing;

namespace P2PWeights.Cli.Tests.Faults;

/// <summary>
/// What can go wrong while a pull runs. The source sends at a capped rate, so that a pull lasts long enough to be disturbed; how far it is, its node says.
/// </summary>
public sealed class PullFaultsTests : IAsyncLifetime
{
    private const long Bytes = 24 << 20;

    private Cluster _cluster = null!;
    private ClusterNode _source = null!;
    private string _folder = null!;

    public async Task InitializeAsync()
    {
        _cluster = await Cluster.StartAsync();
        _source = await _cluster.StartNodeAsync("source", "--upload-limit", "4MiB");
        _folder = SmallCheckpoint.Write(_cluster.Folder["source"], Bytes);
        (await P2pw.RunAsync("publish", _folder, "slow@1", "--max-shard", "1MiB", "--node", _source.Socket)).Expect(0);
    }

    public Task DisposeAsync()
    {
        _cluster.Dispose();
        return Task.CompletedTask;
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Node_killed_during_a_pull_goes_on_where_it_stood(bool toFolder)
    {
        var target = _cluster.Folder["target"];
        string[] pull = ["pull", "slow@1", "--json", "--node", _cluster.Socket("n1"), .. toFolder ? ["--to", target] : Array.Empty<string>()];
        // No memory tier: memory does not survive a kill, and is not meant to.
        var node = await _cluster.StartNodeAsync("n1", toFolder ? [] : WithoutMemory);
        using var first = _cluster.Run(pull);
        var verified = await VerifiedBytesAsync(node, atLeast: 4 << 20);

        await node.Process.KillAsync();
        Assert.NotEqual(0, (await first.FinishAsync()).ExitCode);
        await _cluster.StartNodeAsync("n1", toFolder ? [] : WithoutMemory);
        var report = (await P2pw.RunAsync(pull)).Expect(0).Json;

        // Nothing that was verified is fetched again: the two parts make the whole, and the reused one is at least what was seen before the kill.
        var reused = report.GetProperty("bytes_reused").GetInt64();
        Assert.Equal(report.GetProperty("bytes").GetInt64(), reused + report.GetProperty("bytes_fetched").GetInt64());
        Assert.True(reused >= verified, $"{verified} bytes were verified before the kill, {reused} were reused after it");
        if (toFolder)
            SmallCheckpoint.AssertSame(_folder, target);
    }

    [Fact]
    public async Task Command_interrupted_during_a_pull_is_130_and_a_later_one_goes_on()
    {
        var target = _cluster.Folder["target"];
        var node = await _cluster.StartNodeAsync("n1");
        using var first = _cluster.Run("pull", "slow@1", "--to", target, "--node", node.Socket);
        var verified = await VerifiedBytesAsync(node, atLeast: 4 << 20);

        first.Signal(PosixSignalNumber.Interrupt);
        (await first.FinishAsync()).Expect(130);
        await Eventually.HoldsAsync(async () => (await StatusAsync(node)).Pulls.Count == 0, "the node stops the pull that nobody waits for");

        var report = (await P2pw.RunAsync("pull", "slow@1", "--to", target, "--node", node.Socket, "--json")).Expect(0).Json;
        Assert.True(report.GetProperty("bytes_reused").GetInt64() >= verified);
        SmallCheckpoint.AssertSame(_folder, target);
    }

    [Fact]
    public async Task Tracker_killed_during_a_pull_stops_only_new_ones()
    {
        var node = await _cluster.StartNodeAsync("n1");
        using var pull = _cluster.Run("pull", "slow@1", "--to", _cluster.Folder["target"], "--node", node.Socket);
        await VerifiedBytesAsync(node, atLeast: 4 << 20);

        await _cluster.TrackerProcess.KillAsync();

        (await pull.FinishAsync()).Expect(0);
        SmallCheckpoint.AssertSame(_folder, _cluster.Folder["target"]);
        var refused = await P2pw.RunAsync("pull", "other@1", "--to", _cluster.Folder["new"], "--node", node.Socket);
        refused.Expect(6);
        Assert.Contains(new Uri(_cluster.Tracker).Authority, refused.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task All_sources_gone_is_no_peers_and_what_was_fetched_is_kept()
    {
        var target = _cluster.Folder["target"];
        var node = await _cluster.StartNodeAsync("n1", "--no-source-timeout", "8s");
        using var pull = _cluster.Run("pull", "slow@1", "--to", target, "--node", node.Socket);
        var verified = await VerifiedBytesAsync(node, atLeast: 4 << 20);

        await _source.Process.KillAsync();

        (await pull.FinishAsync()).Expect(5);
        _source = await _cluster.StartNodeAsync("source");
        // The source listens on another port now: until the node hears of it from the tracker, a pull may find nobody again.
        Outcome again = null!;
        await Eventually.HoldsAsync(async () => (again = await P2pw.RunAsync("pull", "slow@1", "--to", target, "--node", node.Socket, "--json")).ExitCode != 5, "a later pull finds the source");
        Assert.True(again.Expect(0).Json.GetProperty("bytes_reused").GetInt64() >= verified);
        SmallCheckpoint.AssertSame(_folder, target);
    }

    [MountingFact]
    public async Task Disk_full_half_way_is_told_and_a_later_pull_goes_on()
    {
        var small = Directory.CreateDirectory(_cluster.Folder["small-disk"]).FullName;
        using var disk = SmallDisk.Mount(small, 16 << 20);
        // The source is not capped here: there is nothing to watch in between.
        await _source.Process.StopAsync();
        await _cluster.StartNodeAsync("source");
        var node = await _cluster.StartNodeAsync("n1");
        var target = Path.Combine(small, "target");

        var full = (await P2pw.RunAsync("pull", "slow@1", "--to", target, "--node", node.Socket)).Expect(8);
        Assert.DoesNotContain("unexpected", full.Error, StringComparison.Ordinal);
        disk.Resize(48 << 20);
        (await P2pw.RunAsync("pull", "slow@1", "--to", target, "--node", node.Socket)).Expect(0);

        SmallCheckpoint.AssertSame(_folder, target);
        await node.Process.StopAsync();
    }

    private static string[] WithoutMemory => ["--memory", "0"];

    /// <summary>Waits until the node's running pull has verified so much, and gives how much it is then.</summary>
    private static async Task<long> VerifiedBytesAsync(ClusterNode node, long atLeast)
    {
        long verified = 0;
        await Eventually.HoldsAsync(async () =>
        {
            verified = (await StatusAsync(node)).Pulls.Select(pull => pull.Progress.BytesDone).FirstOrDefault();
            return verified >= atLeast;
        }, string.Create(CultureInfo.InvariantCulture, $"{atLeast} bytes are verified"));
        return verified;
    }

    private static async Task<NodeStatus> StatusAsync(ClusterNode node)
    {
        using var client = new NodeClient(node.Socket);
        return await client.StatusAsync(CancellationToken.None);
    }
}
