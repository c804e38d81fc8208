using System.Text.Json;
using P2PWeights.Cli.Tests.Support;
using P2PWeights.Testing;

namespace P2PWeights.Cli.Tests;

/// <summary><c>p2pw status --watch</c> beside a pull that takes a few seconds, as a user runs both.</summary>
public sealed class WatchTests
{
    [Fact]
    public async Task Watch_follows_a_pull_to_its_end_by_way_of_a_node_and_of_the_tracker()
    {
        using var cluster = await Cluster.StartAsync("--lease", "2s");
        var publisher = await cluster.StartNodeAsync("publisher", "--upload-limit", "6MiB");
        var consumer = await cluster.StartNodeAsync("consumer");
        var source = SmallCheckpoint.Write(cluster.Folder["source"], 24 << 20);
        // Small shards: what has arrived is counted by whole ones.
        (await P2pw.RunAsync("publish", source, "small@1", "--tag", "latest", "--max-shard", "1MiB", "--node", publisher.Socket)).Expect(0);

        var documents = cluster.Run("status", "--watch", "small@latest", "--json", "--tracker", cluster.Tracker);
        var lines = cluster.Run("status", "--watch", "small@1", "--rate", "12MB", "--node", consumer.Socket);
        await Eventually.HoldsAsync(() => documents.OutputSoFar.Length > 0 && lines.OutputSoFar.Length > 0, "both watch");
        (await P2pw.RunAsync("pull", "small@1", "--node", consumer.Socket)).Expect(0);

        var looks = (await documents.FinishAsync()).Expect(0).Output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => JsonDocument.Parse(line).RootElement).ToList();
        Assert.All(looks, look => Assert.Equal("small@1", look.GetProperty("checkpoint").GetString()));
        Assert.Equal(0, looks[0].GetProperty("pulling_peers").GetInt32());
        var pulling = looks.SelectMany(look => look.GetProperty("nodes").EnumerateArray()).Where(node => node.GetProperty("pulling").GetBoolean()).ToList();
        Assert.All(pulling, node => Assert.Equal("consumer", node.GetProperty("name").GetString()));
        Assert.Contains(pulling, node => node.GetProperty("path").GetString() == "tcp" && node.GetProperty("bytes_done").GetInt64() > 0);
        Assert.Equal((2, true), (looks[^1].GetProperty("complete_peers").GetInt32(), looks[^1].GetProperty("is_over").GetBoolean()));

        var text = (await lines.FinishAsync()).Expect(0).Output;
        Assert.Contains("at 12 MB/s, as given)", text, StringComparison.Ordinal);
        Assert.Contains("2 nodes: 2 complete, 0 pulling", text.Split('\n').Last(line => line.StartsWith("small@1", StringComparison.Ordinal)), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Watch_of_what_is_not_there_says_so()
    {
        using var cluster = await Cluster.StartAsync();
        var node = await cluster.StartNodeAsync("node");

        (await P2pw.RunAsync("status", "--watch", "small@1", "--node", node.Socket)).Expect(3);
        (await P2pw.RunAsync("status", "--watch", "small@1", "--tracker", cluster.Tracker)).Expect(3);
        (await P2pw.RunAsync("status", "--watch", "small", "--tracker", cluster.Tracker)).Expect(2);
    }

    [Theory]
    [InlineData("--watch small@1 --nodes 0", "--nodes is a number, 1 or more")]
    [InlineData("--rate 12GB", "--rate says how a swarm is watched: it takes --watch name@version")]
    [InlineData("--nodes 20", "--nodes says how a swarm is watched: it takes --watch name@version")]
    public async Task Options_of_a_watch_that_make_no_sense_are_refused(string options, string reason) => Assert.Contains(
        reason, (await P2pw.RunAsync(["status", "--tracker", "http://127.0.0.1:1", .. options.Split(' ')])).Expect(2).Error, StringComparison.Ordinal);
}
