using P2PWeights.Cli.Tests.Support;
using P2PWeights.Native.Posix;

namespace P2PWeights.Cli.Tests.Faults;

/// <summary>How tracker and node start, stop and refuse to start.</summary>
public sealed class ServingTests : IAsyncLifetime
{
    private Cluster _cluster = null!;

    public async Task InitializeAsync() => _cluster = await Cluster.StartAsync();

    public Task DisposeAsync()
    {
        _cluster.Dispose();
        return Task.CompletedTask;
    }

    [Fact]
    public async Task Serving_command_that_is_asked_to_stop_ends_with_success()
    {
        var node = await _cluster.StartNodeAsync("n1");
        Assert.True(File.Exists(node.Socket));

        (await node.Process.StopAsync()).Expect(0);
        _cluster.TrackerProcess.Signal(PosixSignalNumber.Interrupt);
        var tracker = (await _cluster.TrackerProcess.FinishAsync()).Expect(0);

        Assert.False(File.Exists(node.Socket), "the socket goes with the node");
        Assert.StartsWith("ready tracker=http://127.0.0.1:", tracker.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Second_node_on_one_data_folder_is_refused_and_the_first_lives_on()
    {
        var first = await _cluster.StartNodeAsync("n1");

        var refused = (await P2pw.RunAsync(_cluster.NodeArguments("n1", "--socket", _cluster.Socket("second")))).Expect(7);

        Assert.Contains(_cluster.Folder["n1-data"], refused.Error, StringComparison.Ordinal);
        (await P2pw.RunAsync("status", "--node", first.Socket)).Expect(0);
    }

    [Fact]
    public async Task Second_tracker_on_one_data_folder_is_refused()
    {
        var refused = (await P2pw.RunAsync("tracker", "--listen", "127.0.0.1:0", "--data", _cluster.Folder["tracker"])).Expect(7);

        Assert.Contains(_cluster.Folder["tracker"], refused.Error, StringComparison.Ordinal);
        (await P2pw.RunAsync("status", "--tracker", _cluster.Tracker)).Expect(0);
    }

    [Fact]
    public async Task Node_keeps_its_id_and_its_store_over_restarts()
    {
        var source = SmallCheckpoint.Write(_cluster.Folder["source"], 4 << 20);
        var node = await _cluster.StartNodeAsync("n1");
        (await P2pw.RunAsync("publish", source, "kept@1", "--copy", "--node", node.Socket)).Expect(0);
        await node.Process.StopAsync();

        var again = await _cluster.StartNodeAsync("n1");
        Assert.Equal(node.Id, again.Id);
        await again.Process.KillAsync();

        var after = await _cluster.StartNodeAsync("n1");
        Assert.Equal(node.Id, after.Id);
        Directory.Delete(source, recursive: true);
        (await P2pw.RunAsync("pull", "kept@1", "--to", _cluster.Folder["copy"], "--node", after.Socket)).Expect(0);
        SmallCheckpoint.AssertSame(SmallCheckpoint.Write(_cluster.Folder["expected"], 4 << 20), _cluster.Folder["copy"]);
    }

    [Fact]
    public async Task Address_in_use_is_named()
    {
        var taken = new Uri(_cluster.Tracker).Authority;

        var outcome = (await P2pw.RunAsync("tracker", "--listen", taken, "--data", _cluster.Folder["other-tracker"])).Expect(2);

        Assert.Contains(taken, outcome.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", outcome.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("unexpected", outcome.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Child_of_the_demo_stops_when_its_parent_is_gone()
    {
        var child = _cluster.Run(["tracker", "--listen", "127.0.0.1:0", "--data", _cluster.Folder["child"], "--die-with-parent"]);
        await child.ReadyAsync();

        child.CloseInput();

        (await child.FinishAsync()).Expect(0);
    }

    [Fact]
    public async Task Wrong_cluster_key_is_not_allowed()
    {
        File.WriteAllText(_cluster.Folder["key"], "right");
        File.WriteAllText(_cluster.Folder["wrong"], "wrong");
        using var keyed = await Cluster.StartAsync("--cluster-key-file", _cluster.Folder["key"]);
        var node = await keyed.StartNodeAsync("n1", "--cluster-key-file", _cluster.Folder["key"]);
        var source = SmallCheckpoint.Write(keyed.Folder["source"], 1 << 20);
        (await P2pw.RunAsync("publish", source, "secret@1", "--node", node.Socket)).Expect(0);

        (await P2pw.RunAsync("ls", "--tracker", keyed.Tracker)).Expect(7);
        (await P2pw.RunAsync("ls", "--tracker", keyed.Tracker, "--cluster-key-file", _cluster.Folder["wrong"])).Expect(7);
        (await P2pw.RunAsync("pull", "secret@1", "--to", keyed.Folder["stolen"], "--tracker", keyed.Tracker, "--cluster-key-file", _cluster.Folder["wrong"])).Expect(7);
        (await P2pw.RunAsync("pull", "secret@1", "--to", keyed.Folder["mine"], "--tracker", keyed.Tracker, "--cluster-key-file", _cluster.Folder["key"])).Expect(0);
        (await P2pw.RunAsync(new Dictionary<string, string?> { ["P2PW_CLUSTER_KEY"] = "right" }, "ls", "--tracker", keyed.Tracker)).Expect(0);
    }
}
