using System.Collections.Concurrent;
using P2PWeights.Transfer;

namespace P2PWeights.Client.Tests.Cluster;

public sealed class PullTests
{
    /// <summary>Slow enough that a pull of 24 MiB is still under way when a test acts on its first progress.</summary>
    private const long Slow = 8 << 20;
    private const int SlowBytes = 24 << 20;

    [Fact]
    public async Task Three_consumers_at_once_all_get_every_byte()
    {
        await using var cluster = await TestCluster.StartAsync();
        var a = await cluster.StartNodeAsync("a");
        await a.PublishAsync(cluster.WriteCheckpoint());
        var consumers = new[] { await cluster.StartNodeAsync("b"), await cluster.StartNodeAsync("c"), await cluster.StartNodeAsync("d") };

        var reports = await Task.WhenAll(consumers.Select((node, i) => node.PullAsync(cluster.Folder[$"target-{i}"])));

        foreach (var i in Enumerable.Range(0, consumers.Length))
        {
            cluster.AssertSame(cluster.Folder["source"], cluster.Folder[$"target-{i}"]);
            Assert.Equal(reports[i].Transfer.BytesTotal, reports[i].Transfer.BytesFetched + reports[i].Transfer.BytesReused);
        }
    }

    [Fact]
    public async Task Pull_into_the_tiers_makes_another_source()
    {
        await using var cluster = await TestCluster.StartAsync();
        var (a, b, c) = (await cluster.StartNodeAsync("a"), await cluster.StartNodeAsync("b"), await cluster.StartNodeAsync("c"));
        await a.PublishAsync(cluster.WriteCheckpoint());

        var report = await b.PullAsync(folder: null);
        Assert.Null(report.Folder);
        Assert.Equal(report.Transfer.BytesTotal, report.Transfer.BytesFetched);
        await a.WaitForCopyAsync(TestCluster.Checkpoint, default).WaitAsync(TestCluster.Deadline);
        await cluster.StopAsync(a);
        await c.PullAsync(cluster.Folder["target"]);

        cluster.AssertSame(cluster.Folder["source"], cluster.Folder["target"]);
    }

    [Fact]
    public async Task Files_of_a_pull_are_served_to_others()
    {
        await using var cluster = await TestCluster.StartAsync();
        var (a, b, c) = (await cluster.StartNodeAsync("a"), await cluster.StartNodeAsync("b", memoryBytes: 0, diskBytes: 0), await cluster.StartNodeAsync("c"));
        await a.PublishAsync(cluster.WriteCheckpoint());
        await b.PullAsync(cluster.Folder["first"]);
        await a.WaitForCopyAsync(TestCluster.Checkpoint, default).WaitAsync(TestCluster.Deadline);
        await cluster.StopAsync(a);

        await c.PullAsync(cluster.Folder["second"]);

        cluster.AssertSame(cluster.Folder["source"], cluster.Folder["second"]);
    }

    [Fact]
    public async Task Finished_folder_is_verified_and_nothing_is_fetched()
    {
        await using var cluster = await TestCluster.StartAsync();
        var (a, b) = (await cluster.StartNodeAsync("a"), await cluster.StartNodeAsync("b"));
        await a.PublishAsync(cluster.WriteCheckpoint());
        await b.PullAsync(cluster.Folder["target"]);

        var again = await b.PullAsync(cluster.Folder["target"]);

        Assert.Equal((0, again.Transfer.BytesTotal), (again.Transfer.BytesFetched, again.Transfer.BytesReused));
        cluster.AssertSame(cluster.Folder["source"], cluster.Folder["target"]);
    }

    [Fact]
    public async Task Cancelled_pull_resumes_and_fetches_nothing_twice()
    {
        await using var cluster = await TestCluster.StartAsync();
        var a = await cluster.StartNodeAsync("a", uploadBytesPerSecond: Slow / 4);
        var b = await cluster.StartNodeAsync("b", memoryBytes: 0, diskBytes: 0);
        await a.PublishAsync(cluster.WriteCheckpoint(bytes: SlowBytes));
        using var cancel = new CancellationTokenSource();
        var kept = 0L;
        var progress = new ActionProgress<PullProgress>(seen =>
        {
            kept = seen.BytesDone;
            if (seen.ShardsDone > 3)
            {
                cancel.Cancel();
            }
        });

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => b.PullAsync(cluster.Folder["target"], progress: progress, cancellationToken: cancel.Token));
        Assert.NotEmpty(Directory.EnumerateFiles(cluster.Folder["target"], "*.partial", SearchOption.AllDirectories));
        Assert.Empty((await b.StatusAsync(default)).Pulls);
        await cluster.StopAsync(a);
        await cluster.StartNodeAsync("a");
        var seenAgain = new ConcurrentQueue<PullProgress>();
        var resumed = await b.PullAsync(cluster.Folder["target"], progress: new ActionProgress<PullProgress>(seenAgain.Enqueue));

        var stages = seenAgain.Select(seen => seen.Stage).ToList();
        Assert.Equal(["checking", "fetching"], stages.Distinct());
        Assert.InRange(seenAgain.Where(seen => seen.Stage == "checking").Max(seen => seen.BytesDone), kept, resumed.Transfer.BytesTotal);
        Assert.InRange(kept, 1, resumed.Transfer.BytesTotal - 1);
        Assert.True(resumed.Transfer.BytesReused >= kept, $"{resumed.Transfer.BytesReused} bytes reused of {kept} kept ({cluster.Seed})");
        Assert.Equal(resumed.Transfer.BytesTotal, resumed.Transfer.BytesReused + resumed.Transfer.BytesFetched);
        cluster.AssertSame(cluster.Folder["source"], cluster.Folder["target"]);
    }

    [Fact]
    public async Task Unknown_name_is_not_found_and_the_closest_is_named()
    {
        await using var cluster = await TestCluster.StartAsync();
        var a = await cluster.StartNodeAsync("a");
        await a.PublishAsync(cluster.WriteCheckpoint());

        var failed = await NodeCalls.FailsAsync(a.PullAsync(cluster.Folder["target"], "org/model@v2"), NodeError.NotFound);

        Assert.Equal("no checkpoint org/model@v2; did you mean org/model@v1?", failed.Message);
        Assert.False(Directory.Exists(cluster.Folder["target"]));
    }

    [Fact]
    public async Task Target_with_other_things_in_it_is_refused_by_name_and_left_alone()
    {
        await using var cluster = await TestCluster.StartAsync();
        var (a, b) = (await cluster.StartNodeAsync("a"), await cluster.StartNodeAsync("b"));
        await a.PublishAsync(cluster.WriteCheckpoint());
        Directory.CreateDirectory(cluster.Folder["foreign"]);
        await File.WriteAllTextAsync(cluster.Folder["foreign/precious.txt"], "precious");
        await File.WriteAllTextAsync(cluster.Folder["file"], "a file");
        cluster.WriteCheckpoint("other");

        var foreign = await NodeCalls.FailsAsync(b.PullAsync(cluster.Folder["foreign"]), NodeError.Usage);
        var otherContent = await NodeCalls.FailsAsync(b.PullAsync(cluster.Folder["other"]), NodeError.Usage);
        await NodeCalls.FailsAsync(b.PullAsync(cluster.Folder["file"]), NodeError.Usage);
        await NodeCalls.FailsAsync(b.PullAsync("relative/path"), NodeError.Usage);

        Assert.Contains("precious.txt", foreign.Message, StringComparison.Ordinal);
        Assert.Equal("precious", await File.ReadAllTextAsync(cluster.Folder["foreign/precious.txt"]));
        Assert.Single(Directory.EnumerateFileSystemEntries(cluster.Folder["foreign"]));
        Assert.Contains("safetensors", otherContent.Message, StringComparison.Ordinal);
        Assert.Equal(0, (await b.StatusAsync(default)).Checkpoints);
    }

    [Fact]
    public async Task Second_pull_into_the_same_folder_is_refused_while_the_first_runs()
    {
        await using var cluster = await TestCluster.StartAsync();
        var (a, b) = (await cluster.StartNodeAsync("a", uploadBytesPerSecond: Slow), await cluster.StartNodeAsync("b"));
        await a.PublishAsync(cluster.WriteCheckpoint(bytes: SlowBytes));
        using var hold = new ManualResetEventSlim();
        var first = StartPull(b, cluster.Folder["target"], out var underWay, hold);
        await underWay;

        var refused = await NodeCalls.FailsAsync(b.PullAsync(cluster.Folder["target"]), NodeError.NotAllowed);
        Assert.Contains(cluster.Folder["target"], refused.Message, StringComparison.Ordinal);

        hold.Set();
        await first;
        cluster.AssertSame(cluster.Folder["source"], cluster.Folder["target"]);
    }

    [Fact]
    public async Task Running_pull_is_seen_in_the_status()
    {
        await using var cluster = await TestCluster.StartAsync();
        var (a, b) = (await cluster.StartNodeAsync("a", uploadBytesPerSecond: Slow), await cluster.StartNodeAsync("b"));
        await a.PublishAsync(cluster.WriteCheckpoint(bytes: SlowBytes));
        using var hold = new ManualResetEventSlim();
        var pull = StartPull(b, cluster.Folder["target"], out var underWay, hold);
        await underWay;

        var running = Assert.Single((await b.StatusAsync(default)).Pulls);

        Assert.Equal((TestCluster.Checkpoint, cluster.Folder["target"]), (running.Checkpoint, running.Folder));
        Assert.True(running.Progress.BytesTotal > 0);
        hold.Set();
        await pull;
    }

    [Fact]
    public async Task Tracker_that_goes_away_does_not_stop_a_running_pull_but_new_ones_fail_with_what_to_do()
    {
        await using var cluster = await TestCluster.StartAsync();
        var (a, b) = (await cluster.StartNodeAsync("a", uploadBytesPerSecond: Slow), await cluster.StartNodeAsync("b"));
        await a.PublishAsync(cluster.WriteCheckpoint(bytes: SlowBytes));
        var pull = StartPull(b, cluster.Folder["target"], out var underWay);
        await underWay;

        await cluster.StopTrackerAsync();

        var refused = await NodeCalls.FailsAsync(b.PullAsync(cluster.Folder["later"]), NodeError.Deadline);
        Assert.Contains("p2pw tracker", refused.Message, StringComparison.Ordinal);
        await pull;
        cluster.AssertSame(cluster.Folder["source"], cluster.Folder["target"]);
        await cluster.UntilAsync(async () => !(await b.StatusAsync(default)).TrackerReachable, "the node sees that the tracker is gone");
    }

    [Fact]
    public async Task All_sources_gone_ends_the_pull_and_keeps_what_was_fetched()
    {
        await using var cluster = await TestCluster.StartAsync();
        var a = await cluster.StartNodeAsync("a", uploadBytesPerSecond: Slow / 4);
        var b = await cluster.StartNodeAsync("b", memoryBytes: 0, diskBytes: 0, noSourceTimeout: TimeSpan.FromSeconds(10));
        await a.PublishAsync(cluster.WriteCheckpoint(bytes: SlowBytes));
        var pull = StartPull(b, cluster.Folder["target"], out var underWay);
        await underWay;

        await cluster.StopAsync(a);
        var failed = await NodeCalls.FailsAsync(pull, NodeError.NoPeers);
        Assert.Contains("kept", failed.Message, StringComparison.Ordinal);

        await cluster.StartNodeAsync("a");
        var resumed = await b.PullAsync(cluster.Folder["target"]);
        Assert.True(resumed.Transfer.BytesReused > 0, $"nothing was kept ({cluster.Seed})");
        Assert.Equal(resumed.Transfer.BytesTotal, resumed.Transfer.BytesReused + resumed.Transfer.BytesFetched);
        cluster.AssertSame(cluster.Folder["source"], cluster.Folder["target"]);
    }

    [Fact]
    public async Task Tiers_without_room_end_the_pull_with_disk_full()
    {
        await using var cluster = await TestCluster.StartAsync();
        var (a, b) = (await cluster.StartNodeAsync("a"), await cluster.StartNodeAsync("b", memoryBytes: 0, diskBytes: 4 << 20));
        await a.PublishAsync(cluster.WriteCheckpoint());

        await NodeCalls.FailsAsync(b.PullAsync(folder: null), NodeError.DiskFull);
    }

    /// <summary>Starts a pull; <paramref name="underWay"/> ends when its first shard is there, or with the pull.</summary>
    /// <param name="hold">The pull goes no further than that until this is set.</param>
    private static Task<CheckpointPullReport> StartPull(PeerNode node, string target, out Task underWay, ManualResetEventSlim? hold = null)
    {
        var first = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var pull = node.PullAsync(target, progress: new ActionProgress<PullProgress>(seen =>
        {
            if (seen.ShardsDone > 0)
            {
                first.TrySetResult();
                hold?.Wait(TestCluster.Deadline);
            }
        }));
        underWay = Task.WhenAny(first.Task, pull);
        return pull;
    }
}
