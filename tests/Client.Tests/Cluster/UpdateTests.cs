using System.Collections.Concurrent;
using P2PWeights.Client.Tests.Updating;
using P2PWeights.Store.Content;
using P2PWeights.Store.Telemetry;
using P2PWeights.Testing;

namespace P2PWeights.Client.Tests.Cluster;

public sealed class UpdateTests
{
    private const int Bytes = 12 << 20;

    private static readonly UpdateRequest Request = new(TestCluster.Checkpoint, []) { SlotBytes = 1 << 20 };

    [Fact]
    public async Task An_empty_node_pulls_while_it_updates_and_engines_hold_what_was_published()
    {
        await using var cluster = await TestCluster.StartAsync();
        var (consumer, source) = await PublishedAsync(cluster);
        var (engine, readers, _) = UpdateFixture.Engine(2);
        var seen = new ConcurrentQueue<UpdateProgress>();

        var report = await consumer.UpdateAsync(Request, [engine], new ActionProgress<UpdateProgress>(seen.Enqueue), default).WaitAsync(TestCluster.Deadline);

        Assert.True(report.IsComplete(), report.Engines[0].Reason);
        Assert.All(readers, reader => AssertHolds(source, reader, cluster.Seed));
        Assert.Equal((TestCluster.Checkpoint, 2, BroadcastModes.Peer), (report.Checkpoint, report.Devices, report.Broadcast));
        Assert.Equal(readers[0].Tensors.Values.Sum(bytes => (long)bytes.Length), report.Bytes);
        Assert.NotNull(report.Pull);
        Assert.InRange(report.Pull.BytesFetched, report.Bytes, Bytes * 2);
        Assert.Equal(
            [UpdateStages.Prepare, UpdateStages.Pull, UpdateStages.Open, UpdateStages.Copy, UpdateStages.Exchange, UpdateStages.Load, UpdateStages.Finish], report.Stages.Select(stage => stage.Name));
        Assert.All(report.Stages, stage => Assert.True(stage.Busy > TimeSpan.Zero && stage.Busy <= report.Elapsed, stage.ToString()));
        Assert.Contains(report.Limit(), report.Stages);
        Assert.Contains(seen, progress => progress.Buckets == report.Buckets && progress.BucketsTotal == report.Buckets);
        Assert.Contains(seen, progress => progress.Pull is not null);

        // Once more: nothing to pull, and other engines.
        var (next, nextReaders, _) = UpdateFixture.Engine(1);
        var again = await consumer.UpdateAsync(Request, [next], null, default).WaitAsync(TestCluster.Deadline);
        Assert.True(again.IsComplete(), again.Engines[0].Reason);
        Assert.Null(again.Pull);
        AssertHolds(source, nextReaders[0], cluster.Seed);
    }

    [Fact]
    public async Task A_source_that_goes_away_in_the_middle_is_replaced_by_another()
    {
        await using var cluster = await TestCluster.StartAsync();
        var source = cluster.WriteCheckpoint();

        // Slow enough to be still at it when it goes.
        var first = await cluster.StartNodeAsync("first", uploadBytesPerSecond: 3 << 20);
        var second = await cluster.StartNodeAsync("second", uploadBytesPerSecond: 3 << 20);
        await first.PublishAsync(source);
        await second.PublishAsync(source);
        var consumer = await cluster.StartNodeAsync("consumer");
        var begun = new TaskCompletionSource();
        var (engine, readers, _) = UpdateFixture.Engine(1);

        var updating = consumer.UpdateAsync(
            Request, [engine],
            new ActionProgress<UpdateProgress>(progress =>
            {
                if (progress.Pull is { BytesDone: > 0 })
                {
                    begun.TrySetResult();
                }
            }),
            default);
        await begun.Task.WaitAsync(TestCluster.Deadline);
        await cluster.StopAsync(first);

        var report = await updating.WaitAsync(TestCluster.Deadline);
        Assert.True(report.IsComplete(), report.Engines[0].Reason);
        AssertHolds(source, readers[0], cluster.Seed);
    }

    [Fact]
    public async Task A_second_update_is_refused_or_waits_as_it_wishes()
    {
        await using var cluster = await TestCluster.StartAsync();
        var (consumer, source) = await PublishedAsync(cluster);
        var hold = new TaskCompletionSource();
        var loading = new TaskCompletionSource();
        var (slow, _, _) = UpdateFixture.Engine(1, async (_, step, _) =>
        {
            if (step == "load 0")
            {
                loading.SetResult();
                await hold.Task;
            }
        });
        var running = consumer.UpdateAsync(Request, [slow], null, default);
        await loading.Task.WaitAsync(TestCluster.Deadline);
        var (refused, _, refusedChannels) = UpdateFixture.Engine(1);
        var (queued, queuedReaders, _) = UpdateFixture.Engine(1);

        var failure = await Assert.ThrowsAsync<NodeException>(() => consumer.UpdateAsync(Request, [refused], null, default));
        Assert.Equal(NodeError.NotAllowed, failure.Error);
        Assert.Empty(refusedChannels[0].Steps);
        var told = new TaskCompletionSource<UpdateProgress>();
        var waiting = consumer.UpdateAsync(Request with { Wait = true }, [queued], new ProgressRelay<UpdateProgress>(seen => told.TrySetResult(seen)), default);
        Assert.Equal(new UpdateProgress(0, 0, 0, null), await told.Task.WaitAsync(TestCluster.Deadline));
        Assert.False(waiting.IsCompleted);
        hold.SetResult();

        Assert.True((await running.WaitAsync(TestCluster.Deadline)).IsComplete());
        Assert.True((await waiting.WaitAsync(TestCluster.Deadline)).IsComplete());
        AssertHolds(source, queuedReaders[0], cluster.Seed);
    }

    [Fact]
    public async Task A_cancelled_update_reports_what_each_engine_holds()
    {
        using var metrics = new MetricsText();
        await using var cluster = await TestCluster.StartAsync();
        var (consumer, _) = await PublishedAsync(cluster);
        using var cancel = new CancellationTokenSource();
        var (engine, _, channels) = UpdateFixture.Engine(2, (rank, step, _) => rank == 1 && step == "load 1" ? cancel.CancelAsync() : Task.CompletedTask);

        var report = await consumer.UpdateAsync(Request, [engine], null, cancel.Token).WaitAsync(TestCluster.Deadline);

        Assert.True(report.Cancelled);
        Assert.False(report.IsComplete());
        Assert.Equal((EngineStates.Torn, "the update was cancelled"), (report.Engines[0].State, report.Engines[0].Reason));
        Assert.Equal(1, report.Engines[0].Ranks[1].BucketsLoaded);
        Assert.All(channels, channel => Assert.Equal("the update was cancelled", channel.AbortReason));
        Assert.Contains("p2pw_node_requests_total{operation=\"update\",outcome=\"cancelled\"}", metrics.Render(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_update_whose_node_stops_says_so_in_its_report()
    {
        await using var cluster = await TestCluster.StartAsync();
        var (consumer, _) = await PublishedAsync(cluster);
        var loading = new TaskCompletionSource();
        var (engine, _, _) = UpdateFixture.Engine(1, async (_, step, token) =>
        {
            if (step == "load 1")
            {
                loading.SetResult();
                await Task.Delay(Timeout.Infinite, token);
            }
        });
        var updating = consumer.UpdateAsync(Request, [engine], null, default);
        await loading.Task.WaitAsync(TestCluster.Deadline);

        await cluster.StopAsync(consumer).WaitAsync(TestCluster.Deadline);

        var report = await updating.WaitAsync(TestCluster.Deadline);
        Assert.Equal((NodeError.Failed, false), (report.Failure?.Error, report.Cancelled));
        Assert.Contains("the node is stopping", report.Failure!.Message, StringComparison.Ordinal);
        Assert.Equal(EngineStates.Torn, report.Engines[0].State);
    }

    public static TheoryData<UpdateRequest, string> Faults
    {
        get
        {
            var request = new UpdateRequest(TestCluster.Checkpoint, ["python+unix:///nowhere.sock"]);
            return new TheoryData<UpdateRequest, string>
            {
                { request with { SlotBytes = 0 }, "slots of 0 bytes" },
                { request with { SlotBytes = UpdateRequest.MinSlotBytes - 1 }, "less than 1 MiB" },
                { request with { Slots = 0 }, "0 slots per GPU" },
                { request with { Slots = 65 }, "between 1 and 64" },
                { request with { MemoryFraction = 0 }, "0 is no part" },
                { request with { MemoryFraction = 1.5 }, "1.5 is no part" },
                { request with { MemoryFraction = double.NaN }, "NaN is no part" },
                { request with { DeviceTimeout = TimeSpan.Zero }, "00:00:00 for a GPU's copies" },
                { request with { DeviceTimeout = TimeSpan.FromDays(365) }, "365.00:00:00 for a GPU's copies" },
                { request with { Broadcast = "shout" }, "'shout' is no way to broadcast" },
                { request with { Slots = 0, Broadcast = "" }, "; 0 slots per GPU" },
            };
        }
    }

    [Theory]
    [MemberData(nameof(Faults), DisableDiscoveryEnumeration = true)]
    public async Task A_request_beyond_the_limits_is_refused_before_an_engine_is_asked(UpdateRequest request, string fault)
    {
        await using var cluster = await TestCluster.StartAsync();
        var node = await cluster.StartNodeAsync("node");

        var failure = await Assert.ThrowsAsync<NodeException>(() => node.UpdateAsync(request, null, default).WaitAsync(TestCluster.Deadline));

        Assert.Equal(NodeError.Usage, failure.Error);
        Assert.Contains(fault, failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_update_without_sources_breaks_off_and_its_report_says_what_engines_hold()
    {
        using var metrics = new MetricsText();
        await using var cluster = await TestCluster.StartAsync();
        var source = cluster.WriteCheckpoint();
        var publisher = await cluster.StartNodeAsync("publisher");
        await publisher.PublishAsync(source);
        await cluster.StopAsync(publisher);
        var consumer = await cluster.StartNodeAsync("consumer", noSourceTimeout: TimeSpan.FromSeconds(1));
        var (engine, _, channels) = UpdateFixture.Engine(2);

        var report = await consumer.UpdateAsync(Request with { Verify = true }, [engine], null, default).WaitAsync(TestCluster.Deadline);

        Assert.Equal((NodeError.NoPeers, false, null), (report.Failure?.Error, report.Cancelled, report.IsVerified()));
        Assert.Equal((EngineStates.Untouched, report.Failure!.Message), (report.Engines[0].State, report.Engines[0].Reason));
        Assert.Contains("p2pw_node_requests_total{operation=\"update\",outcome=\"NoPeers\"}", metrics.Render(), StringComparison.Ordinal);
        Assert.All(channels, channel => Assert.NotNull(channel.AbortReason));
    }

    private static async Task<(PeerNode Consumer, string Source)> PublishedAsync(TestCluster cluster)
    {
        var source = cluster.WriteCheckpoint(bytes: Bytes);
        var publisher = await cluster.StartNodeAsync("publisher");
        await publisher.PublishAsync(source);
        return (await cluster.StartNodeAsync("consumer"), source);
    }

    /// <summary>Every tensor of the folder's safetensors files, read by their own headers.</summary>
    private static void AssertHolds(string folder, SlotReader reader, Seeded seed)
    {
        var tensors = 0;
        foreach (var path in Directory.GetFiles(folder, "*.safetensors"))
        {
            var bytes = File.ReadAllBytes(path);
            using var file = File.OpenHandle(path);
            foreach (var tensor in SafetensorsHeader.Read(file, bytes.Length).Tensors)
            {
                tensors++;
                Assert.True(bytes.AsSpan((int)tensor.Offset, (int)tensor.Length).SequenceEqual(reader.Tensors[tensor.Name]), $"{tensor.Name} has other bytes ({seed})");
            }
        }

        Assert.Equal(tensors, reader.Tensors.Count);
        Assert.NotEqual(0, tensors);
    }
}
