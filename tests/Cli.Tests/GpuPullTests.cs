using P2PWeights.Cli.Tests.Support;

namespace P2PWeights.Cli.Tests;

/// <summary>Checkpoints on GPUs, from the outside; memory of the host stands for the GPUs.</summary>
public sealed class GpuPullTests : IAsyncLifetime
{
    private Cluster _cluster = null!;

    public async Task InitializeAsync() => _cluster = await Cluster.StartAsync();

    public Task DisposeAsync()
    {
        _cluster.Dispose();
        return Task.CompletedTask;
    }

    [Fact]
    public async Task Checkpoint_goes_from_one_node_s_gpu_to_another_s_and_from_there_into_a_folder()
    {
        var source = SmallCheckpoint.Write(_cluster.Folder["source"], 6 << 20);
        var first = await StartAsync("n1", "host-0");
        var second = await StartAsync("n2", "host-5");
        (await P2pw.RunAsync("publish", source, "m@v1", "--copy", "--node", first.Socket)).Expect(0);
        (await P2pw.RunAsync("pull", "m@v1", "--into", "gpu:host-0", "--node", first.Socket)).Expect(0);

        var pulled = (await P2pw.RunAsync("pull", "m@v1", "--into", "gpu:host-5", "--node", second.Socket, "--json")).Expect(0).Json;

        var path = Assert.Single(pulled.GetProperty("paths").EnumerateArray(), entry => entry.GetProperty("bytes").GetInt64() > 0);
        Assert.Equal(("nvlink", "host-5"), (path.GetProperty("path").GetString(), pulled.GetProperty("gpu").GetString()));
        var status = (await P2pw.RunAsync("status", "--node", second.Socket, "--json")).Expect(0).Output;
        Assert.Contains("\"gpu\"", status, StringComparison.Ordinal);
        (await P2pw.RunAsync("pull", "m@v1", "--to", _cluster.Folder["out"], "--node", second.Socket)).Expect(0);
        SmallCheckpoint.AssertSame(source, _cluster.Folder["out"]);
    }

    [Fact]
    public async Task Engine_is_updated_from_a_gpu_by_a_node_with_memory_for_one_shard()
    {
        var publisher = await _cluster.StartNodeAsync("n1");
        var node = await _cluster.StartNodeAsync("n2", "--memory", "16MiB", "--disk", "0", "--gpu-memory", "host-0=64MiB");
        (await P2pw.RunAsync("publish", SmallCheckpoint.Write(_cluster.Folder["source"], 48 << 20), "m@v1", "--node", publisher.Socket)).Expect(0);
        (await P2pw.RunAsync("pull", "m@v1", "--into", "gpu:host-0", "--node", node.Socket)).Expect(0);
        var engine = (await _cluster.Run("engine", "--socket", _cluster.Folder["engine.sock"]).ReadyAsync())["engine"];

        var report = (await P2pw.RunAsync("update", "m@v1", "--engine", engine, "--verify", "--node", node.Socket, "--json")).Expect(0).Json;

        Assert.True(report.GetProperty("verified").GetBoolean());
    }

    [Fact]
    public async Task Pull_onto_a_gpu_that_the_node_does_not_have_says_which_it_has()
    {
        var node = await StartAsync("n1", "host-0");

        var unknown = (await P2pw.RunAsync("pull", "m@v1", "--into", "gpu:3", "--node", node.Socket)).Expect(2);
        var two = (await P2pw.RunAsync("pull", "m@v1", "--into", "gpu:host-0", "--to", _cluster.Folder["out"], "--node", node.Socket)).Expect(2);

        Assert.Contains("only on host-0", unknown.Error, StringComparison.Ordinal);
        Assert.Contains("Leave out one", two.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Node_with_gpus_and_without_memory_is_not_started()
    {
        var refused = (await P2pw.RunAsync(_cluster.NodeArguments("n1", "--memory", "0", "--gpu-memory", "host-0=64MiB"))).Expect(2);

        Assert.Contains("--memory", refused.Error, StringComparison.Ordinal);
    }

    private Task<ClusterNode> StartAsync(string name, string gpu) => _cluster.StartNodeAsync(name, "--gpu-memory", $"{gpu}=64MiB", "--paths", "nvlink");
}
