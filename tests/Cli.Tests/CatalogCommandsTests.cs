using P2PWeights.Cli.Tests.Support;
using P2PWeights.Testing;

namespace P2PWeights.Cli.Tests;

/// <summary>Each command's happy path, through a node and straight to the tracker, on one small cluster.</summary>
public sealed class CatalogCommandsTests : IAsyncLifetime
{
    private Cluster _cluster = null!;
    private ClusterNode _publisher = null!;
    private ClusterNode _consumer = null!;
    private string _source = null!;

    public async Task InitializeAsync()
    {
        _cluster = await Cluster.StartAsync();
        _publisher = await _cluster.StartNodeAsync("publisher");
        _consumer = await _cluster.StartNodeAsync("consumer");
        _source = SmallCheckpoint.Write(_cluster.Folder["source"], 24 << 20);
    }

    public Task DisposeAsync()
    {
        _cluster.Dispose();
        return Task.CompletedTask;
    }

    [Fact]
    public async Task Checkpoint_goes_from_folder_to_folder_and_through_every_command()
    {
        // publish
        var published = (await P2pw.RunAsync("publish", _source, "small@1", "--tag", "latest", "--metadata", "step=1", "--node", _publisher.Socket, "--json")).Expect(0).Json;
        Assert.False(published.GetProperty("already_published").GetBoolean());
        Assert.Equal(6, published.GetProperty("files").GetInt32());
        Assert.Equal(1, published.GetProperty("tensors").GetInt32());
        var manifest = published.GetProperty("manifest").GetString()!;

        // ls, show, through the node and from the tracker
        foreach (var target in Targets(_consumer))
        {
            var listed = (await P2pw.RunAsync(["ls", "--json", .. target])).Expect(0).Json.EnumerateArray().Single();
            Assert.Equal("small@1", listed.GetProperty("checkpoint").GetString());
            Assert.Equal("latest", listed.GetProperty("tags").EnumerateArray().Single().GetString());
            Assert.Equal(manifest, listed.GetProperty("manifest").GetString());
            Assert.Empty((await P2pw.RunAsync(["ls", "other", "--json", .. target])).Expect(0).Json.EnumerateArray());
            Assert.Contains("small@1", (await P2pw.RunAsync(["ls", .. target])).Expect(0).Output, StringComparison.Ordinal);

            var shown = (await P2pw.RunAsync(["show", "small@latest", "--tensors", "--json", .. target])).Expect(0).Json;
            Assert.Equal(6, shown.GetProperty("files").GetArrayLength());
            Assert.Equal("w", shown.GetProperty("tensors").EnumerateArray().Single().GetProperty("name").GetString());
            Assert.Equal("1", shown.GetProperty("metadata").GetProperty("step").GetString());
            Assert.Contains("Größe 重み.txt", (await P2pw.RunAsync(["show", "small@1", .. target])).Expect(0).Output, StringComparison.Ordinal);
        }

        // pull, twice: the second finds everything
        var folder = _cluster.Folder["pulled"];
        var pulled = (await P2pw.RunAsync("pull", "small@latest", "--to", folder, "--node", _consumer.Socket, "--json")).Expect(0).Json;
        Assert.Equal("small@1", pulled.GetProperty("checkpoint").GetString());
        Assert.Equal(pulled.GetProperty("bytes").GetInt64(), pulled.GetProperty("bytes_fetched").GetInt64());
        Assert.Equal("publisher", pulled.GetProperty("sources").EnumerateArray().Single().GetProperty("name").GetString());
        Assert.Equal("tcp", pulled.GetProperty("sources").EnumerateArray().Single().GetProperty("path").GetString());
        Assert.Equal(pulled.GetProperty("bytes_fetched").GetInt64(), pulled.GetProperty("paths").EnumerateArray().Single().GetProperty("bytes").GetInt64());
        SmallCheckpoint.AssertSame(_source, folder);

        // why, by tag and by version, and of what nobody pulled
        foreach (var name in new[] { "small@latest", "small@1" })
        {
            var why = (await P2pw.RunAsync("why", name, "--node", _consumer.Socket, "--json")).Expect(0).Json;
            Assert.Equal(("small@1", "done", manifest), (why.GetProperty("checkpoint").GetString(), why.GetProperty("state").GetString(), why.GetProperty("manifest").GetString()));
            Assert.Equal(pulled.GetProperty("bytes_fetched").GetInt64(), why.GetProperty("sources")[0].GetProperty("paths")[0].GetProperty("bytes").GetInt64());
            Assert.NotEmpty(why.GetProperty("limit").GetProperty("text").GetString()!);
        }

        var told = (await P2pw.RunAsync("why", "small@1", "--node", _consumer.Socket)).Expect(0).Output;
        Assert.Contains("done in", told, StringComparison.Ordinal);
        Assert.Contains("limit", told, StringComparison.Ordinal);
        Assert.Contains("small@1", (await P2pw.RunAsync("why", "small@2", "--node", _consumer.Socket)).Expect(3).Error, StringComparison.Ordinal);
        (await P2pw.RunAsync("why", "small@1", "--tracker", _cluster.Tracker)).Expect(2);

        var again = (await P2pw.RunAsync("pull", "small@1", "--to", folder, "--node", _consumer.Socket, "--json")).Expect(0).Json;
        Assert.Equal(0, again.GetProperty("bytes_fetched").GetInt64());
        Assert.Contains("every byte verified", (await P2pw.RunAsync("pull", "small@1", "--node", _consumer.Socket)).Expect(0).Output, StringComparison.Ordinal);

        // verify, true and false
        foreach (var target in Targets(_consumer))
            Assert.True((await P2pw.RunAsync(["verify", folder, "small@1", "--json", .. target])).Expect(0).Json.GetProperty("equal").GetBoolean());
        File.Copy(Path.Combine(folder, "config.json"), Path.Combine(folder, "foreign.json"));
        File.Delete(Path.Combine(folder, ".hidden"));
        foreach (var target in Targets(_consumer))
        {
            var different = (await P2pw.RunAsync(["verify", folder, "small@1", .. target])).Expect(4);
            Assert.Contains("foreign.json", different.Output, StringComparison.Ordinal);
            Assert.Contains(".hidden", different.Output, StringComparison.Ordinal);
        }

        // peers, status, scrub
        Assert.Equal(["consumer", "publisher"], (await P2pw.RunAsync("peers", "--tracker", _cluster.Tracker, "--json")).Expect(0).Json.EnumerateArray().Select(peer => peer.GetProperty("name").GetString()!).Order(StringComparer.Ordinal));
        Assert.Contains("publisher", (await P2pw.RunAsync("peers", "--node", _consumer.Socket)).Expect(0).Output, StringComparison.Ordinal);
        var path = (await P2pw.RunAsync("peers", "--node", _consumer.Socket, "--json")).Expect(0).Json.EnumerateArray().Single().GetProperty("paths").EnumerateArray().Single();
        Assert.Equal(("tcp", "proven"), (path.GetProperty("path").GetString(), path.GetProperty("state").GetString()));
        Assert.True(path.GetProperty("bytes_per_second").GetDouble() > 0);
        Assert.Equal(1, (await P2pw.RunAsync("status", "--tracker", _cluster.Tracker, "--json")).Expect(0).Json.GetProperty("checkpoints").GetInt32());
        var status = (await P2pw.RunAsync("status", "--node", _publisher.Socket, "--json")).Expect(0).Json;
        Assert.Equal(_publisher.Id, status.GetProperty("id").GetString());
        // More when a silence made the consumer ask a second time.
        Assert.True(status.GetProperty("served_bytes").GetInt64() >= pulled.GetProperty("bytes_fetched").GetInt64());
        Assert.True((await P2pw.RunAsync("scrub", "--node", _publisher.Socket, "--json")).Expect(0).Json.GetProperty("bytes").GetInt64() > 0);

        // tag, rm
        (await P2pw.RunAsync("tag", "small@1", "stable", "--node", _consumer.Socket)).Expect(0);
        (await P2pw.RunAsync("show", "small@stable", "--tracker", _cluster.Tracker)).Expect(0);
        (await P2pw.RunAsync("tag", "small@2", "stable", "--tracker", _cluster.Tracker)).Expect(3);
        (await P2pw.RunAsync("rm", "small@stable", "--tracker", _cluster.Tracker)).Expect(0);
        (await P2pw.RunAsync("show", "small@stable", "--tracker", _cluster.Tracker)).Expect(3);
        (await P2pw.RunAsync("rm", "small@1", "--node", _publisher.Socket)).Expect(0);
        Assert.Empty((await P2pw.RunAsync("ls", "--tracker", _cluster.Tracker, "--json")).Expect(0).Json.EnumerateArray());
        (await P2pw.RunAsync("rm", "small@1", "--node", _publisher.Socket)).Expect(3);
    }

    [Fact]
    public async Task Names_and_targets_that_do_not_fit_are_refused_with_what_to_do()
    {
        (await P2pw.RunAsync("publish", _source, "small@1", "--node", _publisher.Socket)).Expect(0);

        // the same content again is success; other content is not
        Assert.Contains("already", (await P2pw.RunAsync("publish", _source, "small@1", "--node", _publisher.Socket)).Expect(0).Output, StringComparison.Ordinal);
        var other = SmallCheckpoint.Write(_cluster.Folder["other"], 2 << 20, seed: 2);
        (await P2pw.RunAsync("publish", other, "small@1", "--node", _publisher.Socket)).Expect(7);

        // an unknown name comes back with the closest
        foreach (var target in Targets(_consumer))
            Assert.Contains("small@1", (await P2pw.RunAsync(["show", "smal@1", .. target])).Expect(3).Error, StringComparison.Ordinal);
        Assert.Contains("small@1", (await P2pw.RunAsync("pull", "small@7", "--to", _cluster.Folder["x"], "--node", _consumer.Socket)).Expect(3).Error, StringComparison.Ordinal);

        // what a running node would ignore is refused
        Assert.Contains("--paths", (await P2pw.RunAsync("pull", "small@1", "--paths", "tcp", "--node", _consumer.Socket)).Expect(2).Error, StringComparison.Ordinal);
        Assert.Contains("--upload-limit", (await P2pw.RunAsync("publish", _source, "small@1", "--upload-limit", "1MiB", "--node", _publisher.Socket)).Expect(2).Error, StringComparison.Ordinal);

        // a target with other content is not touched
        Directory.CreateDirectory(_cluster.Folder["taken"]);
        File.WriteAllText(_cluster.Folder["taken/diary.txt"], "mine");
        Assert.Contains("diary.txt", (await P2pw.RunAsync("pull", "small@1", "--to", _cluster.Folder["taken"], "--node", _consumer.Socket)).Expect(2).Error, StringComparison.Ordinal);
        Assert.Equal(["diary.txt"], Directory.EnumerateFileSystemEntries(_cluster.Folder["taken"]).Select(path => Path.GetFileName(path)));
    }

    [Fact]
    public async Task Tracker_alone_is_enough_to_publish_and_pull()
    {
        using var publishing = _cluster.Run("publish", _source, "alone@1", "--tracker", _cluster.Tracker);
        await Eventually.HoldsAsync(() => publishing.ErrorSoFar.Contains("until another node holds a whole copy", StringComparison.Ordinal) || publishing.HasExited, "publish serves what it published");

        var folder = _cluster.Folder["alone"];
        (await P2pw.RunAsync("pull", "alone@1", "--to", folder, "--tracker", _cluster.Tracker)).Expect(0);
        SmallCheckpoint.AssertSame(_source, folder);
        Assert.False(publishing.HasExited, "the command that pulled is gone, and with it its copy");

        (await P2pw.RunAsync("pull", "alone@1", "--node", _consumer.Socket)).Expect(0);
        (await publishing.FinishAsync()).Expect(0);

        // Now others hold everything: a second publication ends at once.
        Assert.Contains("already", (await P2pw.RunAsync("publish", _source, "alone@1", "--tracker", _cluster.Tracker)).Expect(0).Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Publication_that_nobody_copied_ends_with_deadline_when_bounded_and_130_when_interrupted()
    {
        (await P2pw.RunAsync("publish", _source, "lonely@1", "--tracker", _cluster.Tracker, "--serve-for", "1s")).Expect(6);

        using var publishing = _cluster.Run("publish", _source, "lonely@1", "--tracker", _cluster.Tracker);
        await Eventually.HoldsAsync(() => publishing.ErrorSoFar.Contains("until another node holds a whole copy", StringComparison.Ordinal) || publishing.HasExited, "publish serves what it published");
        publishing.Signal(Native.Posix.PosixSignalNumber.Interrupt);
        (await publishing.FinishAsync()).Expect(130);
    }

    private IEnumerable<string[]> Targets(ClusterNode node) => [["--node", node.Socket], ["--tracker", _cluster.Tracker]];
}
