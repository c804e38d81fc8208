using P2PWeights.Store.Folders;
using P2PWeights.Transfer;

namespace P2PWeights.Client.Tests.Cluster;

/// <summary>What becomes of replicas over time: restarts, files that change, lies, scrubs, and the catalog's names for them.</summary>
public sealed class ReplicaTests
{
    private const string Victim = "model-00001-of-00002.safetensors";

    [Fact]
    public async Task Restarted_node_has_its_id_and_serves_its_references_again()
    {
        await using var cluster = await TestCluster.StartAsync();
        var (a, b) = (await cluster.StartNodeAsync("a"), await cluster.StartNodeAsync("b"));
        var published = await a.PublishAsync(cluster.WriteCheckpoint());
        var before = await a.StatusAsync(default);
        await cluster.StopAsync(a);

        a = await cluster.StartNodeAsync("a");
        var after = await a.StatusAsync(default);
        await b.PullAsync(cluster.Folder["target"]);

        Assert.Equal((before.Id, 1), (after.Id, after.Checkpoints));
        Assert.Equal(published.Shards, after.Tiers.Single(tier => tier.Tier == "reference").Shards);
        cluster.AssertSame(cluster.Folder["source"], cluster.Folder["target"]);
    }

    [Fact]
    public async Task Second_node_on_a_data_folder_refuses_to_start()
    {
        await using var cluster = await TestCluster.StartAsync();
        await cluster.StartNodeAsync("a");

        await NodeCalls.FailsAsync(cluster.StartNodeAsync("a"), NodeError.NotAllowed);
    }

    [Fact]
    public async Task Address_in_use_is_refused()
    {
        await using var cluster = await TestCluster.StartAsync();
        var a = await cluster.StartNodeAsync("a");
        var options = new NodeOptions { Trackers = [cluster.TrackerAddress], DataDirectory = cluster.Folder["data-b"], MemoryBytes = 0, Listen = (await a.StatusAsync(default)).Endpoint };

        await NodeCalls.FailsAsync(
            PeerNode.StartAsync(options, TimeProvider.System, Microsoft.Extensions.Logging.Abstractions.NullLoggerFactory.Instance, default), NodeError.Usage);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task File_that_changed_after_publish_is_not_served_and_other_replicas_are(bool deleted)
    {
        await using var cluster = await TestCluster.StartAsync();
        var (a, b, c) = (await cluster.StartNodeAsync("a"), await cluster.StartNodeAsync("b"), await cluster.StartNodeAsync("c"));
        var source = cluster.WriteCheckpoint();
        await a.PublishAsync(source);
        await b.PullAsync(cluster.Folder["copy"]);
        if (deleted)
        {
            File.Delete(Path.Combine(source, Victim));
        }
        else
        {
            Corrupt(Path.Combine(source, Victim), keepTime: false);
        }

        await c.PullAsync(cluster.Folder["target"]);

        cluster.AssertSame(cluster.Folder["copy"], cluster.Folder["target"]);
    }

    [Fact]
    public async Task Source_that_sends_wrong_bytes_is_banned_and_others_are_used()
    {
        await using var cluster = await TestCluster.StartAsync();
        var (a, b, c) = (await cluster.StartNodeAsync("a"), await cluster.StartNodeAsync("b", memoryBytes: 0, diskBytes: 0), await cluster.StartNodeAsync("c"));
        var source = cluster.WriteCheckpoint();
        UseWholeSeconds(source);
        await a.PublishAsync(source);
        await b.PullAsync(cluster.Folder["copy"]);

        // Same inode, size and mtime: the guard of the reference cannot see it, so node a now sends wrong bytes in good faith.
        foreach (var file in Directory.EnumerateFiles(source, "*.safetensors"))
        {
            Corrupt(file, keepTime: true);
        }

        var report = await c.PullAsync(cluster.Folder["target"]);

        cluster.AssertSame(cluster.Folder["copy"], cluster.Folder["target"]);
        var poisoned = (await a.StatusAsync(default)).Id;
        if (report.Transfer.Sources.FirstOrDefault(part => part.Peer == poisoned && part.Paths.Any(path => path.Failures.ContainsKey(FailureReasons.WrongBytes))) is { } liar)
        {
            Assert.NotNull(liar.Banned);
            Assert.NotNull((await c.PeersAsync(default)).Single(peer => peer.Peer.Id == poisoned).BannedUntil);
        }
    }

    [Fact]
    public async Task Only_source_that_sends_wrong_bytes_is_banned_and_nothing_wrong_is_kept()
    {
        await using var cluster = await TestCluster.StartAsync();
        var a = await cluster.StartNodeAsync("a");
        var b = await cluster.StartNodeAsync("b", noSourceTimeout: TimeSpan.FromSeconds(5));
        var source = cluster.WriteCheckpoint();
        UseWholeSeconds(source);
        await a.PublishAsync(source);
        foreach (var file in Directory.EnumerateFiles(source, "*.safetensors"))
        {
            Corrupt(file, keepTime: true);
        }

        await NodeCalls.FailsAsync(b.PullAsync(cluster.Folder["target"]), NodeError.NoPeers);

        Assert.False(File.Exists(cluster.Folder["target/" + Victim]));
        var liar = (await b.PeersAsync(default)).Single(peer => peer.Peer.Name == "a");
        Assert.NotNull(liar.Banned);
        Assert.True(liar.BannedUntil > DateTimeOffset.UtcNow);
    }

    [Fact]
    public async Task Verify_names_each_difference()
    {
        await using var cluster = await TestCluster.StartAsync();
        var (a, b) = (await cluster.StartNodeAsync("a"), await cluster.StartNodeAsync("b"));
        await a.PublishAsync(cluster.WriteCheckpoint());
        var target = cluster.Folder["target"];
        await b.PullAsync(target);
        File.Delete(Path.Combine(target, "config.json"));
        await File.WriteAllTextAsync(Path.Combine(target, "foreign.txt"), "x");
        await File.AppendAllTextAsync(Path.Combine(target, ".hidden"), "x");
        Corrupt(Path.Combine(target, Victim), keepTime: false);

        var report = await b.VerifyAsync(target, TestCluster.Checkpoint, null, default);

        Assert.Equal(
            [(".hidden", DifferenceKind.Size), ("config.json", DifferenceKind.Missing), ("foreign.txt", DifferenceKind.Foreign), (Victim, DifferenceKind.Bytes)],
            report.Differences.Select(difference => (difference.Path, difference.Kind)).Order().DistinctBy(difference => difference));
        Assert.InRange(report.BytesDiffering(), 1, new FileInfo(Path.Combine(target, Victim)).Length - 1);
        await NodeCalls.FailsAsync(b.VerifyAsync(cluster.Folder["missing"], TestCluster.Checkpoint, null, default), NodeError.Usage);
    }

    [Fact]
    public async Task Scrub_finds_rot_on_disk_and_repairs_it_from_peers()
    {
        await using var cluster = await TestCluster.StartAsync();
        var (a, b) = (await cluster.StartNodeAsync("a"), await cluster.StartNodeAsync("b", memoryBytes: 0));
        await a.PublishAsync(cluster.WriteCheckpoint());
        await b.PullAsync(folder: null);
        var clean = await b.ScrubAsync(null, default);
        Assert.Equal((0, 0, 0), (clean.Wrong.Count, clean.Repaired, clean.Unrepaired));
        Assert.True(clean.Checked > 0);
        var largest = new DirectoryInfo(cluster.Folder["data-b/shards"]).EnumerateFiles("*", SearchOption.AllDirectories).MaxBy(file => file.Length)!;
        Corrupt(largest.FullName, keepTime: true);

        var report = await b.ScrubAsync(null, default).WaitAsync(TestCluster.Deadline);

        Assert.Contains(largest.Name, Assert.Single(report.Wrong), StringComparison.Ordinal);
        Assert.Equal((1, 0), (report.Repaired, report.Unrepaired));
        Assert.Empty((await b.ScrubAsync(null, default)).Wrong);
    }

    [Fact]
    public async Task Scrub_without_peers_counts_what_it_could_not_repair()
    {
        await using var cluster = await TestCluster.StartAsync();
        var a = await cluster.StartNodeAsync("a", memoryBytes: 0, noSourceTimeout: TimeSpan.FromSeconds(1));
        await a.PublishAsync(cluster.WriteCheckpoint(), copy: true);
        Corrupt(Directory.EnumerateFiles(cluster.Folder["data-a/shards"], "*", SearchOption.AllDirectories).First(), keepTime: true);

        var report = await a.ScrubAsync(null, default).WaitAsync(TestCluster.Deadline);

        Assert.Equal((1, 0, 1), (report.Wrong.Count, report.Repaired, report.Unrepaired));
    }

    [Fact]
    public async Task Tags_move_and_go_and_versions_go_with_their_tags()
    {
        await using var cluster = await TestCluster.StartAsync();
        var a = await cluster.StartNodeAsync("a");
        var first = await a.PublishAsync(cluster.WriteCheckpoint("one", 1 << 20), "m@v1", tags: ["latest"]);
        var second = await a.PublishAsync(cluster.WriteCheckpoint("two", 1 << 20), "m@v2");
        Assert.Equal(first.Manifest, (await a.ShowAsync("m@latest", default)).Info.Manifest);

        await a.TagAsync("m@v2", "latest", default);
        Assert.Equal(second.Manifest, (await a.ShowAsync("m@latest", default)).Info.Manifest);

        await NodeCalls.FailsAsync(a.TagAsync("m@v9", "latest", default), NodeError.NotFound);
        await NodeCalls.FailsAsync(a.TagAsync("m@v1", "not a tag", default), NodeError.Usage);
        await a.RemoveAsync("m@latest", default);
        await NodeCalls.FailsAsync(a.ShowAsync("m@latest", default), NodeError.NotFound);
        await a.TagAsync("m@v2", "stable", default);
        await a.RemoveAsync("m@v2", default);
        Assert.Equal(["m@v1"], await cluster.CatalogAsync());
        await NodeCalls.FailsAsync(a.ShowAsync("m@stable", default), NodeError.NotFound);
        await NodeCalls.FailsAsync(a.RemoveAsync("m@v2", default), NodeError.NotFound);
    }

    [Fact]
    public async Task Node_that_starts_before_its_tracker_joins_once_it_is_there()
    {
        await using var cluster = await TestCluster.StartAsync();
        await cluster.StopTrackerAsync();

        var a = await cluster.StartNodeAsync("a");
        Assert.False((await a.StatusAsync(default)).TrackerReachable);
        await cluster.StartTrackerAsync();

        await cluster.UntilAsync(async () => (await a.StatusAsync(default)).TrackerReachable, "the node finds the tracker");
    }

    [Fact]
    public async Task Restarted_tracker_knows_all_replicas_again()
    {
        await using var cluster = await TestCluster.StartAsync();
        var (a, b) = (await cluster.StartNodeAsync("a"), await cluster.StartNodeAsync("b"));
        var published = await a.PublishAsync(cluster.WriteCheckpoint());

        await cluster.StopTrackerAsync();
        await cluster.StartTrackerAsync();
        await cluster.UntilAsync(async () => (await b.ListAsync(null, default)).Single().AvailableShards == published.Shards, "the tracker has heard of every shard");
        await b.PullAsync(cluster.Folder["target"]);

        cluster.AssertSame(cluster.Folder["source"], cluster.Folder["target"]);
    }

    private static void UseWholeSeconds(string folder)
    {
        foreach (var file in Directory.EnumerateFiles(folder))
        {
            File.SetLastWriteTimeUtc(file, new DateTime(2026, 1, 2, 3, 4, 5, DateTimeKind.Utc));
        }
    }

    /// <summary>Flips the last byte in place.</summary>
    private static void Corrupt(string path, bool keepTime)
    {
        var time = File.GetLastWriteTimeUtc(path);
        using (var file = File.Open(path, FileMode.Open))
        {
            file.Seek(-1, SeekOrigin.End);
            var last = file.ReadByte();
            file.Seek(-1, SeekOrigin.End);
            file.WriteByte((byte)~last);
        }

        if (keepTime)
        {
            File.SetLastWriteTimeUtc(path, time);
        }
    }
}
