using System.Collections.Concurrent;
using P2PWeights.Store.Content;
using P2PWeights.Store.Folders;
using P2PWeights.Testing;
using P2PWeights.Testing.Faults;
using P2PWeights.Transfer.Pulling;
using P2PWeights.Transfer.Wire;

namespace P2PWeights.Transfer.Tests.Pulls;

/// <summary>Pulls over bad networks, from dying and silent sources, and many at once.</summary>
public sealed class StressTests
{
    [Fact]
    public async Task Source_without_progress_for_two_seconds_loses_its_shards_to_others()
    {
        // The node's time is virtual: the two seconds of the default take none.
        var time = new VirtualTime();
        var checkpoint = TestCheckpoint.Uniform(12, 100_000);
        await using var net = await PullNet.StartAsync(checkpoint, pulling: TestNode.OverTcp, time: time, publisher: "honest");
        var (honest, node) = net;
        await using var silent = new LyingPeer(checkpoint, async (stream, id, shard, bytes, token) =>
            await LyingPeer.SendDataAsync(stream, id, shard.Size, bytes.AsMemory(0, 1000), token));
        node.Meet(checkpoint, silent.Info);
        var began = time.GetTimestamp();

        // Nobody else is known yet: a fifth fetch means that the first four, two per lane, were given up.
        var pull = node.PullAsync(checkpoint);
        await Eventually.HoldsAsync(() => silent.Fetches == 4, "the silent peer was asked");
        await PassUntilAsync(time, () => silent.Fetches > 4, "the silent peer was asked again");
        Assert.True(time.GetElapsedTime(began) >= TimeSpan.FromSeconds(2), $"given up after {time.GetElapsedTime(began)}");
        node.Meet(checkpoint, silent.Info, honest.Info);
        await PassUntilAsync(time, () => pull.IsCompleted, "the pull ends");
        var report = await pull;

        await node.AssertHoldsAsync(checkpoint);
        var source = Assert.Single(report.Sources, s => s.Name == "liar");
        Assert.True(source.Failures > 0 && source.Banned is null, $"{source}");
    }

    [Fact]
    public async Task Slow_last_shard_is_asked_of_an_idle_source_too_and_the_loser_is_given_up_at_once()
    {
        const int Size = 100_000;
        const int Sent = 1000;
        var time = new VirtualTime();
        var checkpoint = TestCheckpoint.Uniform(2, Size);
        var (hedged, part, last) = (NewSignal(), NewSignal(), NewSignal());
        var options = TestNode.OverTcp with { StallTimeout = TimeSpan.FromMinutes(1), NoSourceTimeout = TimeSpan.FromMinutes(1) };
        await using var node = await TestNode.StartAsync("node", options, time: time);

        // The slow one sends a little, once the shard was asked of the idle one too. What the late one has keeps the pull going when that shard is here.
        await using var slow = new LyingPeer(checkpoint, async (stream, id, shard, bytes, token) =>
        {
            await hedged.Task.WaitAsync(token);
            await LyingPeer.SendDataAsync(stream, id, shard.Size, bytes.AsMemory(0, Sent), token);
        })
        { Holds = [0] };
        await using var late = new LyingPeer(checkpoint, async (stream, id, shard, bytes, token) =>
        {
            await last.Task.WaitAsync(token);
            await LyingPeer.SendDataAsync(stream, id, shard.Size, bytes, token);
        })
        { Holds = [1] };
        await using var idle = new LyingPeer(checkpoint, async (stream, id, shard, bytes, token) =>
        {
            hedged.SetResult();
            await part.Task.WaitAsync(token);
            await LyingPeer.SendDataAsync(stream, id, shard.Size, bytes, token);
        })
        { Holds = [0] };
        node.Meet(checkpoint, slow.Info, late.Info);
        var watch = new PullWatch();

        var pull = node.Transfer.PullAsync(new PullRequest(checkpoint.Manifest, checkpoint.All, null) { Watch = watch }, null, TestNode.Deadline);
        await Eventually.HoldsAsync(() => (slow.Fetches, late.Fetches) == (1, 1), "both shards were asked for");
        node.Meet(checkpoint, slow.Info, late.Info, idle.Info);
        await PassUntilAsync(time, () => hedged.Task.IsCompleted, "the slow shard was asked for again");
        await Eventually.HoldsAsync(() => node.Transfer.Metrics.ReceivedUnderCap == Sent, "the slow source has sent a part");
        part.SetResult();
        await PassUntilAsync(time, () => watch.Report?.BytesWasted == Sent, "the slow source's fetch was given up while the pull goes on");
        Assert.False(pull.IsCompleted);
        last.SetResult();
        var report = await pull;

        await node.AssertHoldsAsync(checkpoint);
        Assert.Equal((checkpoint.TotalBytes, Sent), (report.BytesFetched, report.BytesWasted));
        var sources = report.Sources.ToDictionary(source => source.Peer);
        Assert.Equal((1, 1), (sources[idle.Info.Id].Hedges, sources[idle.Info.Id].Shards));
        Assert.Equal((0, 0, 0, null), (sources[slow.Info.Id].Shards, sources[slow.Info.Id].Failures, sources[slow.Info.Id].Stalls, sources[slow.Info.Id].Banned));
    }

    [Fact]
    public async Task Cap_of_the_node_itself_makes_no_source_look_silent()
    {
        // Twelve sources have 24 lanes, which share 1 MB/s of virtual time in turns.
        var time = new VirtualTime();
        var checkpoint = TestCheckpoint.Uniform(48, 150_000);
        await using var net = await PullNet.StartAsync(checkpoint, pulling: TestNode.Steady with { DownloadBytesPerSecond = 1_000_000 }, time: time);
        var (publisher, node) = net;
        var others = await Task.WhenAll(Enumerable.Range(0, 11).Select(i => TestNode.StartAsync($"source-{i}", TestNode.OverTcp)));
        try
        {
            await Task.WhenAll(others.Select(other => other.HoldAsync(checkpoint)));
            node.Meet(checkpoint, [publisher.Info, .. others.Select(other => other.Info)]);

            var pull = node.PullAsync(checkpoint);
            await PassUntilAsync(time, () => pull.IsCompleted, "the pull ends");
            var report = await pull;

            await node.AssertHoldsAsync(checkpoint);
            Assert.True(report.Sources.Count(source => source.Bytes > 0) > 6, "the pull had many sources at once");
            Assert.All(report.Sources, source => Assert.True(source.Stalls == 0, $"{source}; {checkpoint.Seeded}"));
        }
        finally
        {
            await Task.WhenAll(others.Select(other => other.DisposeAsync().AsTask()));
        }
    }

    [Fact]
    public async Task Source_that_dies_in_the_middle_of_shards_costs_those_and_no_others()
    {
        // Its lanes break after three and a half shards each; control lanes live on, so nothing but the payload tells.
        const int Size = 200_000;
        var checkpoint = TestCheckpoint.Uniform(40, Size);
        await using var dying = await TestNode.StartAsync("dying");
        await using var honest = await TestNode.StartAsync("honest");
        await using var node = await TestNode.StartAsync("node");
        await using var proxy = new FaultProxy(dying.Transfer.LocalEndPoint, checkpoint.Seeded) { SparedConnections = 1 };
        proxy.ToCaller.Line = new FaultLine { Fault = FaultKind.Reset, AfterBytes = 7 * Size / 2 };
        await dying.HoldAsync(checkpoint);
        await honest.HoldAsync(checkpoint, 0);
        node.Meet(checkpoint, Through(proxy, dying), honest.Info);

        var pull = node.PullAsync(checkpoint);
        await proxy.HitAsync(proxy.ToCaller);
        await dying.StopServingAsync();
        await honest.HoldAsync(checkpoint);
        var report = await pull;

        await node.AssertHoldsAsync(checkpoint);
        var source = Assert.Single(report.Sources, s => s.Name == "dying");
        Assert.True(source.Shards > 0, $"{source}; {proxy}");
        Assert.Equal(checkpoint.TotalBytes, report.BytesFetched);

        // A part of one shard per lane that broke, and of one per lane opened since; every whole shard that it sent counts.
        Assert.True(report.BytesWasted <= (long)(proxy.Connections - 1) * Size, $"{report.BytesWasted} bytes wasted; {proxy}");
        Assert.Equal(checkpoint.All.Length - source.Shards, report.Sources.Single(s => s.Name == "honest").Shards);
    }

    [Theory]
    [InlineData(FaultKind.Reset)]
    [InlineData(FaultKind.Cut)]
    [InlineData(FaultKind.HalfClose)]
    [InlineData(FaultKind.Corrupt)]
    [InlineData(FaultKind.Blackhole)]
    public async Task Pull_over_a_bad_line_and_a_good_one_ends_with_the_right_bytes(FaultKind kind)
    {
        var checkpoint = TestCheckpoint.Uniform(24, 150_000);
        await using var far = await TestNode.StartAsync("far");
        await using var near = await TestNode.StartAsync("near");
        await using var node = await TestNode.StartAsync("node");
        await using var proxy = new FaultProxy(far.Transfer.LocalEndPoint, checkpoint.Seeded) { SparedConnections = 1 };
        proxy.ToCaller.Line = new FaultLine { Fault = kind, AfterBytes = checkpoint.Seeded.Random.Next(500, 400_000), BytesPerSecond = 20_000_000 };
        await far.HoldAsync(checkpoint);
        await near.HoldAsync(checkpoint, 0);
        node.Meet(checkpoint, Through(proxy, far), near.Info);

        var pull = node.PullAsync(checkpoint);
        await proxy.HitAsync(proxy.ToCaller);
        await near.HoldAsync(checkpoint);
        var report = await pull;

        await node.AssertHoldsAsync(checkpoint);
        Assert.True(report.BytesFetched == checkpoint.TotalBytes, proxy.ToString());
        var source = Assert.Single(report.Sources, s => s.Name == "far");
        Assert.True(kind != FaultKind.Corrupt || source.Banned is not null, $"{source}; {proxy}");
        Assert.True(kind == FaultKind.Corrupt || source.Banned is null, $"{source}; {proxy}");
    }

    [Fact]
    public async Task Two_hundred_pulls_at_once_fetch_each_shard_once()
    {
        const int Pulls = 200;
        var checkpoint = TestCheckpoint.Uniform(30, 100_000);
        await using var net = await PullNet.StartAsync(checkpoint, pulling: TestNode.Steady);
        var (publisher, node) = net;
        var folders = new List<CheckpointFolder>();
        for (var i = 0; i < Pulls / 20; i++)
        {
            folders.Add(CheckpointFolder.Open(node[$"out{i}"], checkpoint.Manifest));
            await folders[i].ScanAsync(null, TestNode.Deadline);
        }

        // Every twentieth goes to a folder of its own, the others to the tiers.
        var reports = await Task.WhenAll(Enumerable.Range(0, Pulls).Select(i => node.PullAsync(checkpoint, i % 20 == 0 ? folders[i / 20] : null)));

        await publisher.ServedAsync(checkpoint.All.Length);
        Assert.Equal(checkpoint.TotalBytes, reports.Sum(report => report.BytesFetched));
        Assert.All(reports, report => Assert.Equal(checkpoint.TotalBytes, report.BytesFetched + report.BytesReused));
        await node.AssertHoldsAsync(checkpoint);
        var bytes = checkpoint.Bytes.SelectMany(b => b).ToArray();
        for (var i = 0; i < folders.Count; i++)
        {
            await folders[i].CompleteAsync(TestNode.Deadline);
            await folders[i].DisposeAsync();
            var file = await File.ReadAllBytesAsync(Path.Combine(node[$"out{i}"], "weights.bin"));
            Assert.True(bytes.AsSpan().SequenceEqual(file), $"folder {i}; {checkpoint.Seeded}");
        }
    }

    [Fact]
    public async Task Pull_whose_sources_all_say_busy_for_ever_ends_with_that_reason()
    {
        var time = new VirtualTime();
        var checkpoint = TestCheckpoint.Uniform(3, 1000);
        var options = new TransferOptions { Paths = [PathNames.Tcp], NoSourceTimeout = TimeSpan.FromSeconds(2) };
        await using var node = await TestNode.StartAsync("node", options, time: time);
        await using var busy = new LyingPeer(checkpoint, async (stream, id, _, _, token) => await stream.WriteAsync(FrameCodec.Encode(id, new BusyMessage(100)), token));
        node.Meet(checkpoint, busy.Info);
        var began = time.GetTimestamp();

        var pull = node.PullAsync(checkpoint);
        await Eventually.HoldsAsync(() => busy.Fetches > 0, "the busy peer was asked");
        await PassUntilAsync(time, () => pull.IsCompleted, "the pull ends");

        var failure = await Assert.ThrowsAsync<TransferException>(() => pull);
        Assert.Equal(TransferError.NoSources, failure.Error);
        Assert.Contains("no peer had a free upload slot", failure.Message, StringComparison.Ordinal);
        Assert.True(time.GetElapsedTime(began) >= PullPatience.BusyFactor * options.NoSourceTimeout, $"given up after {time.GetElapsedTime(began)}");
    }

    [Fact]
    public async Task Shard_that_a_source_could_not_serve_once_is_asked_for_again_without_a_new_announcement()
    {
        var time = new VirtualTime();
        var checkpoint = TestCheckpoint.Uniform(3, 1000);
        var refused = new ConcurrentDictionary<ShardInfo, bool>();
        await using var node = await TestNode.StartAsync("node", TestNode.OverTcp, time: time);
        await using var failing = new LyingPeer(checkpoint, async (stream, id, shard, bytes, token) =>
        {
            if (refused.TryAdd(shard, true))
            {
                await stream.WriteAsync(FrameCodec.Encode(id, FrameType.NotFound), token);
            }
            else
            {
                await LyingPeer.SendDataAsync(stream, id, shard.Size, bytes, token);
            }
        });
        node.Meet(checkpoint, failing.Info);

        var pull = node.PullAsync(checkpoint);
        await PassUntilAsync(time, () => pull.IsCompleted, "the pull ends");

        var source = Assert.Single((await pull).Sources);
        Assert.Equal((3, 3, 6), (source.Shards, source.Failures, failing.Fetches));
        await node.AssertHoldsAsync(checkpoint);
    }

    private static TaskCompletionSource NewSignal() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    private static PeerInfo Through(FaultProxy proxy, TestNode source) => source.Info with { Endpoints = [proxy.EndPoint.ToString()] };

    /// <summary>Has a node's time pass until a condition holds: at twice the speed of the real one, if nothing else is said.</summary>
    private static Task PassUntilAsync(VirtualTime time, Func<bool> condition, string what, TimeSpan? step = null) => Eventually.HoldsAsync(
        () =>
        {
            time.Advance(step ?? TimeSpan.FromMilliseconds(10));
            return condition();
        },
        what);
}
