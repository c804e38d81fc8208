using System.Collections.Immutable;
using System.Text.Json;
using Microsoft.Extensions.Logging.Abstractions;
using P2PWeights.Client.LocalApi;
using P2PWeights.Client.Tests.Cluster;
using P2PWeights.Store.Content;
using P2PWeights.Store.Folders;
using P2PWeights.Store.Hashing;
using P2PWeights.Store.Telemetry;
using P2PWeights.Testing;
using P2PWeights.Tracker;
using P2PWeights.Transfer;

namespace P2PWeights.Client.Tests.LocalApi;

/// <summary>What is asked and answered over the local API: requests, progress, results, failures.</summary>
public sealed class NodeApiTests : IAsyncLifetime
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(30);
    private static readonly Digest SomeDigest = Blake3.Hash([1, 2, 3]);
    private static readonly PullReport SomePull = new(100, 40, 60, 5, TimeSpan.FromSeconds(1.5), [new SourceReport(
        Guid.NewGuid(), "a", 3, 60, 1, 1, 2, 1, "sent wrong bytes", [new PathReport("tcp", 3, 60, TimeSpan.FromSeconds(1), new Dictionary<string, int> { ["stall"] = 1 })])]);

    private readonly TempFolder _folder = new();
    private readonly ScriptedNode _node = new();
    private readonly MetricsText _metrics = new();
    private NodeServer _server = null!;
    private NodeClient _client = null!;

    private string Socket => _folder["run/node.sock"];

    public async Task InitializeAsync()
    {
        _server = await NodeServer.StartAsync(Socket, _node, _metrics, TimeProvider.System, NullLoggerFactory.Instance, default);
        _client = new NodeClient(Socket);
    }

    public async Task DisposeAsync()
    {
        _client.Dispose();
        await _server.DisposeAsync();
        _metrics.Dispose();
        _folder.Dispose();
    }

    [Fact]
    public async Task Pull_reports_progress_and_then_its_result()
    {
        var seen = new List<PullProgress>();
        var report = new CheckpointPullReport("m@v1", SomeDigest, "/target", 2, SomePull);
        CheckpointPullRequest? asked = null;
        _node.OnPull = async (request, progress, _) =>
        {
            asked = request;
            progress!.Report(new PullProgress(1, 100, 1, 0, 3, 1));
            await SeenAsync(seen, count: 1);
            progress.Report(new PullProgress(100, 100, 60, 3, 3, 0));
            await SeenAsync(seen, count: 2);
            return report;
        };

        var answer = await _client.PullAsync(new CheckpointPullRequest("m@latest", "/target"), new ListProgress<PullProgress>(seen), default).WaitAsync(Deadline);

        Assert.Equal(new CheckpointPullRequest("m@latest", "/target"), asked);
        Assert.Equal(report with { Transfer = answer.Transfer }, answer);
        Assert.Equal(SomePull with { Sources = answer.Transfer.Sources }, answer.Transfer);
        var (sent, got) = (Assert.Single(SomePull.Sources), Assert.Single(answer.Transfer.Sources));
        Assert.Equal(sent with { Paths = got.Paths }, got);
        Assert.Equal(sent.Paths[0] with { Failures = got.Paths[0].Failures }, Assert.Single(got.Paths));
        Assert.Equal(sent.Paths[0].Failures, got.Paths[0].Failures);
        Assert.Equal([1, 100], seen.Select(progress => progress.BytesDone));
    }

    [Theory]
    [InlineData(NodeError.Failed)]
    [InlineData(NodeError.Usage)]
    [InlineData(NodeError.NotFound)]
    [InlineData(NodeError.Integrity)]
    [InlineData(NodeError.NoPeers)]
    [InlineData(NodeError.Deadline)]
    [InlineData(NodeError.NotAllowed)]
    [InlineData(NodeError.DiskFull)]
    public async Task Failure_comes_back_with_its_kind_and_message(NodeError error)
    {
        _node.OnPull = (_, _, _) => throw new NodeException(error, "what, where, what next: \"ünïcode\"\n");
        _node.OnShow = _ => throw new NodeException(error, "the same without a stream");

        var streamed = await Assert.ThrowsAsync<NodeException>(() => _client.PullAsync(new CheckpointPullRequest("m@v1", null), null, default).WaitAsync(Deadline));
        var plain = await Assert.ThrowsAsync<NodeException>(() => _client.ShowAsync("m@v1", default).WaitAsync(Deadline));

        Assert.Equal((error, "what, where, what next: \"ünïcode\"\n"), (streamed.Error, streamed.Message));
        Assert.Equal((error, "the same without a stream"), (plain.Error, plain.Message));
    }

    [Fact]
    public async Task Failure_that_nobody_thought_of_is_answered_as_a_failure_of_the_node()
    {
        _node.OnPull = (_, _, _) => throw new InvalidOperationException("broken inside");
        _node.OnShow = _ => throw new InvalidOperationException("broken inside");

        foreach (var call in (Func<Task>[])[() => _client.PullAsync(new CheckpointPullRequest("m@v1", null), null, default), () => _client.ShowAsync("m@v1", default)])
        {
            var failure = await Assert.ThrowsAsync<NodeException>(() => call().WaitAsync(Deadline));
            Assert.Equal(NodeError.Failed, failure.Error);
            Assert.Contains("broken inside", failure.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Pull_is_cancelled_when_its_caller_goes_away()
    {
        var started = new TaskCompletionSource();
        var cancelled = new TaskCompletionSource();
        _node.OnPull = async (_, _, token) =>
        {
            started.SetResult();
            await using var registration = token.Register(() => cancelled.TrySetResult());
            await Task.Delay(Timeout.Infinite, token);
            throw new InvalidOperationException("not cancelled");
        };
        using var caller = new CancellationTokenSource();

        var pull = _client.PullAsync(new CheckpointPullRequest("m@v1", null), null, caller.Token);
        await started.Task.WaitAsync(Deadline);
        await caller.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => pull.WaitAsync(Deadline));
        await cancelled.Task.WaitAsync(Deadline);
    }

    [Fact]
    public async Task An_update_survives_the_way_there_and_back()
    {
        var request = new UpdateRequest("org/m@v1", ["vllm+http://h:1", "python+unix:///e"])
        {
            Broadcast = BroadcastModes.Nccl,
            SlotBytes = 5,
            Slots = 2,
            MemoryFraction = 0.5,
            DeviceTimeout = TimeSpan.FromSeconds(3),
            Wait = true,
            Verify = true,
        };
        var report = new UpdateReport(
            "org/m@v1", SomeDigest, 1, 2, 3, 4, 5, 6, BroadcastModes.Nccl, TimeSpan.FromSeconds(7), [new UpdateStage(UpdateStages.Copy, TimeSpan.FromSeconds(6))],
            [new EngineReport("e", EngineStates.Torn, "no room", "Traceback", [new RankReport("GPU-1", 8)])
            {
                Verification = new EngineVerification(VerificationOutcomes.Differs, 9, new TensorNames(2, ["a", "b"]), new TensorNames(1, ["c"]), "it went away"),
            }],
            SomePull)
        { VerifyElapsed = TimeSpan.FromSeconds(8), Cancelled = true, Failure = new UpdateFailure(NodeError.NoPeers, "nobody") };
        UpdateRequest? asked = null;
        _node.OnUpdate = (got, progress, _) =>
        {
            asked = got;
            progress?.Report(new UpdateProgress(1, 2, 3, new PullProgress(1, 2, 3, 4, 5, 6), 7));
            return Task.FromResult(report);
        };
        var seen = new TaskCompletionSource<UpdateProgress>();

        var answer = await _client.UpdateAsync(request, new ActionProgress<UpdateProgress>(progress => seen.TrySetResult(progress)), default).WaitAsync(Deadline);

        Assert.Equal(JsonSerializer.Serialize(request), JsonSerializer.Serialize(asked));
        Assert.Equal(JsonSerializer.Serialize(report), JsonSerializer.Serialize(answer));
        Assert.False(answer.IsComplete());
    }

    [Fact]
    public async Task A_cancelled_update_is_ended_by_the_node_and_its_report_comes_all_the_same()
    {
        var report = new UpdateReport("org/m@v1", SomeDigest, 1, 2, 3, 4, 5, 6, BroadcastModes.Peer, TimeSpan.Zero, [], [new EngineReport("e", EngineStates.Torn, "cancelled", null, [])], null)
        {
            Cancelled = true,
        };
        var running = new TaskCompletionSource();
        _node.OnUpdate = async (_, _, token) =>
        {
            running.SetResult();
            await Task.Delay(Timeout.Infinite, token).ContinueWith(_ => { }, TaskScheduler.Default);
            return report;
        };
        using var cancel = new CancellationTokenSource();
        var updating = _client.UpdateAsync(new UpdateRequest("org/m@v1", ["e"]), null, cancel.Token);
        await running.Task.WaitAsync(Deadline);

        await cancel.CancelAsync();

        var answer = await updating.WaitAsync(Deadline);
        Assert.True(answer.Cancelled);
        Assert.Equal(EngineStates.Torn, Assert.Single(answer.Engines).State);
    }

    [Fact]
    public async Task An_update_that_is_cancelled_before_an_engine_was_asked_says_so()
    {
        var running = new TaskCompletionSource();
        _node.OnUpdate = async (_, _, token) =>
        {
            running.SetResult();
            await Task.Delay(Timeout.Infinite, token);
            throw new InvalidOperationException("not reached");
        };
        using var cancel = new CancellationTokenSource();
        var updating = _client.UpdateAsync(new UpdateRequest("org/m@v1", ["e"]), null, cancel.Token);
        await running.Task.WaitAsync(Deadline);

        await cancel.CancelAsync();

        Assert.Contains("before any engine was asked", (await Assert.ThrowsAsync<NodeException>(() => updating.WaitAsync(Deadline))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Every_request_and_answer_survives_the_way_there_and_back()
    {
        var publish = new PublishRequest("/folder", "org/m@v1", true, ["latest"], new Dictionary<string, string> { ["step"] = "7" }, 1 << 20);
        PublishRequest? asked = null;
        var published = new PublishReport("org/m@v1", SomeDigest, true, 1, 2, 3, 4, 5, TimeSpan.FromSeconds(6), TimeSpan.FromMilliseconds(7));
        _node.OnPublish = request =>
        {
            asked = request;
            return Task.FromResult(published);
        };
        var difference = new FolderDifference("a b", DifferenceKind.Bytes, 16, 32, "differs");
        _node.OnVerify = (folder, checkpoint, progress) =>
        {
            progress?.Report(1);
            return Task.FromResult(new VerifyReport($"{checkpoint} in {folder}", SomeDigest, 1, 2, [difference]));
        };
        _node.OnScrub = _ => Task.FromResult(new NodeScrubReport(1, 2, ["wrong"], 3, 4));
        var status = new NodeStatus(
            Guid.NewGuid(), "n", "1", "127.0.0.1:1", TimeSpan.FromHours(1), "http://t", true, [new TierStatus("memory", 1, 2, 3)], 4, 5, 6,
            [new RunningPull("m@v1", null, new PullProgress(1, 2, 3, 4, 5, 6))]);
        _node.OnStatus = () => status;
        var peer = new PeerInfo(Guid.NewGuid(), "p", ["h:1"], "host", ImmutableSortedDictionary<string, string>.Empty.Add("zone", "z"));
        _node.OnPeers = () => [new PeerStatus(
            peer, true, "tcp", 9, "wrong bytes", DateTimeOffset.UnixEpoch,
            [new PeerPathStatus(SomePull.Sources[0].Paths[0], 7.5, "demoted", "stall", "no byte came", DateTimeOffset.UnixEpoch)])];
        var why = new PullExplanation(
            "org/m@v1", SomeDigest, "/target", PullState.Failed, DateTimeOffset.UnixEpoch, TimeSpan.FromSeconds(3), [new PullPhase(PullPhases.Fetching, TimeSpan.FromSeconds(2))],
            new PullProgress(1, 2, 3, 4, 5, 6, Paths: [new PathBytes("tcp", 3)]), SomePull,
            new PullLimit(PullTerms.Wire, "tcp", 0.5, "network", "more sources", 0.25, [new StageReport(PullTerms.Wire, "tcp", 1.5, 0.5)]), "it broke");
        string? askedWhy = null;
        _node.OnWhy = checkpoint =>
        {
            askedWhy = checkpoint;
            return why;
        };
        var info = new CheckpointInfo("org/m", "v1", ["latest"], SomeDigest, 1, 2, 3, DateTimeOffset.UnixEpoch, 4, 5, 3);
        string? listed = "nothing asked";
        _node.OnList = name =>
        {
            listed = name;
            return [info];
        };
        _node.OnShow = checkpoint => new CheckpointDetails(
            info, 16, [new FileDetails(checkpoint, 1, 2)], [new TensorDetails("t", "BF16", [2, 3], "f", 8, 12)], new Dictionary<string, string> { ["a"] = "b" });

        Assert.Equal(published, await _client.PublishAsync(publish, null, default).WaitAsync(Deadline));
        Assert.Equivalent(publish, asked, strict: true);
        var swarm = new SwarmStatus(
            "org/m@v1", SomeDigest, 1L << 40, 3, 2, 5, 1, 2, [new SwarmMember(Guid.NewGuid(), "n", 2, true, 10, 20, 30, "tcp", 40, 50)]);
        _node.OnSwarm = (checkpoint, members) => swarm with { Checkpoint = $"{checkpoint}, {members}" };
        Assert.Equivalent(swarm with { Checkpoint = "org/m@latest, 7" }, await _client.SwarmAsync("org/m@latest", 7, default).WaitAsync(Deadline), strict: true);
        var verified = await _client.VerifyAsync("/folder", "m@v1", null, default).WaitAsync(Deadline);
        Assert.Equal("m@v1 in /folder", verified.Checkpoint);
        Assert.Equal([difference], verified.Differences);
        Assert.Equivalent(new NodeScrubReport(1, 2, ["wrong"], 3, 4), await _client.ScrubAsync(null, default).WaitAsync(Deadline), strict: true);
        Assert.Equivalent(status, await _client.StatusAsync(default).WaitAsync(Deadline), strict: true);
        var peers = await _client.PeersAsync(default).WaitAsync(Deadline);
        Assert.Equal(("p", "z", DateTimeOffset.UnixEpoch), (peers[0].Peer.Name, peers[0].Peer.Labels["zone"], peers[0].BannedUntil));
        Assert.Equivalent(_node.OnPeers()[0].Paths, peers[0].Paths, strict: true);
        Assert.Equivalent(why, await _client.WhyAsync("org/m@latest", default).WaitAsync(Deadline), strict: true);
        Assert.Equal("org/m@latest", askedWhy);
        Assert.Equal("org/m@v1", $"{(await _client.ListAsync("org/m", default).WaitAsync(Deadline))[0].Name}@v1");
        Assert.Equal("org/m", listed);
        await _client.ListAsync(null, default).WaitAsync(Deadline);
        Assert.Null(listed);
        var details = await _client.ShowAsync("org/m@v1", default).WaitAsync(Deadline);
        Assert.Equal(("org/m@v1", SomeDigest, 3L), (details.Files[0].Path, details.Info.Manifest, details.Tensors[0].Shape[1]));
        await _client.TagAsync("org/m@v1", "latest", default).WaitAsync(Deadline);
        await _client.RemoveAsync("org/m@latest", default).WaitAsync(Deadline);
        Assert.Equal(["tag org/m@v1 latest", "remove org/m@latest"], _node.Done);
    }

    [Theory]
    [InlineData("not json")]
    [InlineData("null")]
    [InlineData("""{"folder":"/f"}""")]
    [InlineData("""{"folder":"/f","checkpoint":"m@v1","forse":true}""")]
    [InlineData("""{"folder":"/f","checkpoint":7}""")]
    public async Task Body_that_is_not_the_request_is_refused_with_the_reason(string body)
    {
        var (status, answer) = await RawHttp.SendAsync(Socket, "POST", "/v1/verify", body);

        Assert.Equal(400, status);
        Assert.Contains("\"error\":\"usage\"", answer, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Body_that_is_too_long_is_refused()
    {
        var (status, answer) = await RawHttp.SendAsync(Socket, "POST", "/v1/verify", new string(' ', (1 << 20) + 1));

        Assert.Equal(400, status);
        Assert.Contains("too large", answer, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Unknown_address_is_refused_by_name()
    {
        var (status, answer) = await RawHttp.SendAsync(Socket, "GET", "/v1/nonsense", null);

        Assert.Equal(400, status);
        Assert.Contains("GET /v1/nonsense", answer, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Metrics_are_served_as_text()
    {
        NodeMetrics.Synced(answered: true);

        var (status, answer) = await RawHttp.SendAsync(Socket, "GET", "/metrics", null);

        Assert.Equal(200, status);
        Assert.Contains("p2pw_node_syncs_total{outcome=\"ok\"}", answer, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Node_that_dies_during_a_pull_is_reported()
    {
        var started = new TaskCompletionSource();
        _node.OnPull = async (_, _, token) =>
        {
            started.SetResult();
            await Task.Delay(Timeout.Infinite, token);
            throw new InvalidOperationException("not cancelled");
        };
        var pull = _client.PullAsync(new CheckpointPullRequest("m@v1", null), null, default);
        await started.Task.WaitAsync(Deadline);

        await _server.DisposeAsync();

        var failure = await Assert.ThrowsAsync<NodeException>(() => pull.WaitAsync(Deadline));
        Assert.Equal(NodeError.Failed, failure.Error);
        Assert.Contains("what was fetched is kept", failure.Message, StringComparison.Ordinal);
    }

    private static async Task SeenAsync(List<PullProgress> seen, int count)
    {
        using var deadline = new CancellationTokenSource(Deadline);
        while (seen.Count < count)
        {
            await Task.Delay(5, deadline.Token);
        }
    }

    private sealed class ListProgress<T>(List<T> seen) : IProgress<T>
    {
        public void Report(T value) => seen.Add(value);
    }
}
