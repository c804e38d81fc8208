using P2PWeights.Store.Telemetry;
using P2PWeights.Testing;
using P2PWeights.Transfer.Tests.Choosing;

namespace P2PWeights.Transfer.Tests.Pulls;

/// <summary>Pulls by more than one path: a scripted one, under a one-sided path's name, before real TCP.</summary>
public sealed class PathChoiceTests
{
    private readonly TestCheckpoint _checkpoint = TestCheckpoint.Uniform(12, 100_000);
    private readonly ScriptedPath _rdma;

    public PathChoiceTests() => _rdma = new ScriptedPath(PathNames.Rdma, _checkpoint);

    [Fact]
    public async Task Better_path_carries_everything_and_the_reports_say_so()
    {
        await using var pair = await Pair.StartAsync(this);
        var seen = new Latest();

        var report = await pair.PullAsync(seen);

        var source = Assert.Single(report.Sources);
        var path = Assert.Single(source.Paths);
        Assert.Equal((PathNames.Rdma, 12, _checkpoint.TotalBytes), (path.Path, path.Shards, path.Bytes));
        Assert.Empty(path.Failures);
        Assert.Equal((0, 0L), (pair.Source.Transfer.Served.Shards, pair.Source.Transfer.Served.Bytes));
        Assert.Equal([new PathBytes(PathNames.Rdma, _checkpoint.TotalBytes)], seen.Value!.Paths!);
        Assert.Equal([(PathNames.Rdma, "proven", 12), (PathNames.Tcp, "untried", 0)], pair.PathStates);
        Assert.Equal(_checkpoint.TotalBytes, Assert.Single(pair.Node.Transfer.Peers).BytesReceived);
    }

    [Fact]
    public async Task First_shard_proves_the_path_before_others_take_it()
    {
        var goOn = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _rdma.OnFetch = async (count, write, token) =>
        {
            await goOn.Task.WaitAsync(token);
            return _rdma.Fill(write);
        };
        await using var pair = await Pair.StartAsync(this, patience: TimeSpan.FromMinutes(1));
        var watch = new PullWatch();

        var pull = pair.PullAsync(watch: watch);
        await Eventually.HoldsAsync(() => watch.Report?.Limit?.Stages.Any(stage => stage is { Term: PullTerms.Proof, Shards: > 0.5 }) == true, "shards wait for the proof");
        Assert.Equal(1, _rdma.Asked);
        goOn.SetResult();
        await pull;

        Assert.Equal(12, _rdma.Asked);
    }

    [Fact]
    public async Task Path_that_does_not_reach_the_peer_is_told_once_and_the_next_carries_everything()
    {
        _rdma.Unreachable = "there is no device";
        await using var pair = await Pair.StartAsync(this);

        var report = await pair.PullAsync();

        var paths = Assert.Single(report.Sources).Paths;
        Assert.Equal([(PathNames.Rdma, 0), (PathNames.Tcp, 12)], paths.Select(path => (path.Path, path.Shards)));
        Assert.Equal(1, paths[0].Failures[FailureReasons.Unreachable]);
        Assert.Equal(0, report.Sources[0].Failures);
        Assert.Equal([(PathNames.Rdma, "demoted", 0), (PathNames.Tcp, "proven", 12)], pair.PathStates);
        var status = Assert.Single(pair.Node.Transfer.Peers).Paths[0];
        Assert.Equal((FailureReasons.Unreachable, "there is no device"), (status.Reason, status.Detail));
        Assert.True(status.RetryAt > DateTimeOffset.UtcNow - TimeSpan.FromMinutes(1));
    }

    [Fact]
    public async Task Path_that_breaks_half_way_costs_nothing_but_another_attempt()
    {
        _rdma.OnFetch = (count, write, _) => Task.FromResult(count <= 4 ? _rdma.Fill(write) : FetchOutcome.Failed(FailureReasons.LaneLost, "the lease lane broke"));
        await using var pair = await Pair.StartAsync(this, new ManualTime());

        var report = await pair.PullAsync();

        var source = Assert.Single(report.Sources);
        Assert.Equal([(PathNames.Rdma, 4), (PathNames.Tcp, 8)], source.Paths.Select(path => (path.Path, path.Shards)));
        Assert.True(source.Paths[0].Failures[FailureReasons.LaneLost] >= 1);
        Assert.Equal((0, null), (source.Failures, source.Banned));
        Assert.Equal(FailureReasons.LaneLost, Assert.Single(pair.Node.Transfer.Peers).Paths[0].Reason);
    }

    [Fact]
    public async Task Metrics_of_both_nodes_tell_bytes_shards_and_failures_by_reason_of_each_path()
    {
        _rdma.OnFetch = (count, write, _) => Task.FromResult(count <= 4 ? _rdma.Fill(write) : FetchOutcome.Failed(FailureReasons.LaneLost, "the lease lane broke"));
        await using var pair = await Pair.StartAsync(this, new ManualTime());
        using var receives = new MetricsText(meter => meter == pair.Node.Transfer.Metrics.Meter);
        using var sends = new MetricsText(meter => meter == pair.Source.Transfer.Metrics.Meter);

        var report = await pair.PullAsync();

        var failures = report.Sources[0].Paths[0].Failures[FailureReasons.LaneLost];
        Assert.Equal(
            [
                $$"""p2pw_transfer_failures_total{path="rdma",reason="lane-lost"} {{failures}}""",
                """p2pw_transfer_fetch_duration_seconds_count{path="rdma"} 4""",
                """p2pw_transfer_fetch_duration_seconds_count{path="tcp"} 8""",
                """p2pw_transfer_fetched_total{path="rdma"} 4""",
                """p2pw_transfer_fetched_total{path="tcp"} 8""",
                """p2pw_transfer_received_bytes_total{path="rdma"} 400000""",
                """p2pw_transfer_received_bytes_total{path="tcp"} 800000""",
            ],
            Lines(receives, "failures_total", "duration_seconds_count", "fetched_total", "received_bytes_total"));

        // A shard counts as served once it is sent, which may be after it has come.
        await Eventually.HoldsAsync(() => Lines(sends, "served_total").Any(line => line.EndsWith(" 8", StringComparison.Ordinal)), "the source has counted the last shard");
        Assert.Equal(
            [
                """p2pw_transfer_sent_bytes_total{path="tcp"} 800000""",
                """p2pw_transfer_served_total{path="tcp"} 8""",
            ],
            Lines(sends, "sent_bytes_total", "served_total"));

        static IEnumerable<string> Lines(MetricsText text, params string[] names) =>
            text.Render().Split('\n').Where(line => names.Any(name => line.Contains($"{name}{{", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task Part_of_a_path_that_is_lost_while_the_rest_goes_on_is_counted_and_costs_no_shard()
    {
        _rdma.OnFetch = (count, write, _) =>
        {
            if (count == 4)
            {
                _rdma.Losses.Enqueue(FailureReasons.DeviceLost);
                _rdma.Losses.Enqueue(FailureReasons.DeviceLost);
            }

            return Task.FromResult(_rdma.Fill(write));
        };
        await using var pair = await Pair.StartAsync(this);
        using var metrics = new MetricsText(meter => meter == pair.Node.Transfer.Metrics.Meter);

        var report = await pair.PullAsync();

        var source = Assert.Single(report.Sources);
        var path = Assert.Single(source.Paths);
        Assert.Equal((PathNames.Rdma, 12), (path.Path, path.Shards));
        Assert.Equal([KeyValuePair.Create(FailureReasons.DeviceLost, 2)], path.Failures);
        Assert.Equal((0, 0), (source.Failures, source.Retries));
        Assert.Contains("""p2pw_transfer_failures_total{path="rdma",reason="device-lost"} 2""", metrics.Render(), StringComparison.Ordinal);
        Assert.Equal("proven", pair.PathStates[0].State);
    }

    [Fact]
    public async Task Demoted_path_is_opened_anew_and_promoted_when_its_time_is_over()
    {
        var works = false;
        _rdma.OnFetch = (_, write, _) => Task.FromResult(works ? _rdma.Fill(write) : FetchOutcome.Failed(FailureReasons.LeaseExpired, "the lease ran out"));
        var time = new ManualTime();
        await using var pair = await Pair.StartAsync(this, time);
        await pair.PullAsync(wanted: [0, 1]);
        Assert.Equal([(PathNames.Rdma, "demoted", 0), (PathNames.Tcp, "proven", 2)], pair.PathStates);
        var (asked, opened) = (_rdma.Asked, _rdma.Opened);

        works = true;
        await pair.PullAsync(wanted: [2, 3]);
        Assert.Equal(asked, _rdma.Asked);
        time.Advance(TimeSpan.FromSeconds(1.3));
        await pair.PullAsync(wanted: [4, 5, 6]);

        Assert.True(_rdma.Opened > opened);
        Assert.Equal("proven", pair.PathStates[0].State);
        Assert.True(pair.PathStates[0].Shards >= 1);
    }

    [Fact]
    public async Task Wrong_bytes_by_a_one_sided_path_demote_it_and_do_not_ban_the_peer()
    {
        _rdma.OnFetch = (_, write, _) => Task.FromResult(_rdma.FillWrongly(write));
        await using var pair = await Pair.StartAsync(this, new ManualTime());

        var report = await pair.PullAsync();

        var source = Assert.Single(report.Sources);
        Assert.Null(source.Banned);
        Assert.Equal((1, 1), (source.Failures, source.Paths[0].Failures[FailureReasons.WrongBytes]));
        Assert.True(source.Retries >= 1);
        Assert.Equal(12, source.Paths[1].Shards);
        Assert.Equal(100_000, report.BytesWasted);
    }

    [Fact]
    public async Task Wrong_bytes_by_two_paths_ban_the_peer()
    {
        _rdma.OnFetch = (_, write, _) => Task.FromResult(_rdma.FillWrongly(write));
        var local = new ScriptedPath(PathNames.Local, _checkpoint) { OnFetch = (_, write, _) => Task.FromResult(_rdma.FillWrongly(write)) };
        await using var pair = await Pair.StartAsync(this, local: local, patience: TestNode.Hopeless.NoSourceTimeout);

        await Assert.ThrowsAsync<TransferException>(() => pair.PullAsync());

        Assert.NotNull(Assert.Single(pair.Node.Transfer.Peers).Banned);
    }

    [Fact]
    public async Task Path_that_hangs_loses_its_shards_to_the_next_path_of_the_same_peer()
    {
        _rdma.OnFetch = async (count, write, token) =>
        {
            if (count > 2)
            {
                await Task.Delay(Timeout.Infinite, token);
            }

            return _rdma.Fill(write);
        };
        await using var pair = await Pair.StartAsync(this);

        var report = await pair.PullAsync();

        var source = Assert.Single(report.Sources);
        Assert.True(source.Stalls >= 1);
        Assert.True(source.Paths[0].Failures[FailureReasons.Stall] >= 1);
        Assert.Equal((2, 10), (source.Paths[0].Shards, source.Paths[1].Shards));
        Assert.Null(source.Banned);
    }

    [Fact]
    public async Task Shard_that_is_adopted_is_neither_fetched_nor_hashed_and_counts_for_its_path()
    {
        await using var pair = await Pair.StartAsync(this);
        _rdma.OnAdopt = async (shard, token) =>
        {
            using var write = await pair.Node.Store.BeginWriteAsync(shard, null, token);
            _rdma.Fill(write);
            await write.CommitAsync(token);
            return new FetchOutcome(FetchStatus.Ok);
        };

        var report = await pair.PullAsync();

        Assert.Equal((_checkpoint.TotalBytes, 0L), (report.BytesFetched, report.BytesWasted));
        Assert.Equal((PathNames.Rdma, 12), (report.Paths()[0].Path, report.Paths()[0].Shards));
        Assert.Equal(0, _rdma.Asked);
    }

    [Fact]
    public async Task Peer_that_no_path_reaches_is_told_with_the_reason_of_each_path()
    {
        _rdma.Unreachable = "there is no device";
        await using var pair = await Pair.StartAsync(this, paths: [PathNames.Rdma], patience: TestNode.Hopeless.NoSourceTimeout);

        var failure = await Assert.ThrowsAsync<TransferException>(() => pair.PullAsync());

        Assert.Contains("rdma: there is no device", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Watch_shows_a_running_pull_and_keeps_the_report_of_a_failed_one()
    {
        _rdma.OnFetch = (count, write, _) => Task.FromResult(count == 1 ? _rdma.Fill(write) : new FetchOutcome(FetchStatus.NotFound));
        await using var pair = await Pair.StartAsync(this, paths: [PathNames.Rdma], patience: TestNode.Hopeless.NoSourceTimeout);
        var watch = new PullWatch();

        await Assert.ThrowsAsync<TransferException>(() => pair.PullAsync(watch: watch));

        var report = Assert.IsType<PullReport>(watch.Report);
        Assert.Equal(100_000, report.BytesFetched);
        Assert.True(Assert.Single(report.Sources).Paths[0].Failures[FailureReasons.NotFound] >= 1);
        Assert.Equal(PullTerms.Source, Assert.IsType<PullLimit>(report.Limit).Term);
    }

    private sealed class Latest : IProgress<PullProgress>
    {
        public PullProgress? Value { get; private set; }

        public void Report(PullProgress value) => Value = value;
    }

    /// <summary>A node with the scripted paths, and a source with everything.</summary>
    private sealed class Pair : IAsyncDisposable
    {
        private TestCheckpoint _checkpoint = null!;

        public TestNode Source { get; private set; } = null!;

        public TestNode Node { get; private set; } = null!;

        /// <summary>The paths from the node to the source: name, state, shards.</summary>
        public IReadOnlyList<(string Path, string State, int Shards)> PathStates =>
            [.. Assert.Single(Node.Transfer.Peers).Paths.Select(path => (path.Carried.Path, path.State, path.Carried.Shards))];

        public static async Task<Pair> StartAsync(PathChoiceTests test, TimeProvider? time = null, ScriptedPath? local = null, string[]? paths = null, TimeSpan? patience = null)
        {
            var pair = new Pair { _checkpoint = test._checkpoint };
            pair.Source = await TestNode.StartAsync("source", TestNode.OverTcp);
            await pair.Source.HoldAsync(test._checkpoint);
            var options = new TransferOptions
            {
                Paths = paths ?? (local is null ? [PathNames.Rdma, PathNames.Tcp] : [PathNames.Local, PathNames.Rdma, PathNames.Tcp]),
                StallTimeout = patience ?? TestNode.Steady.StallTimeout,
                NoSourceTimeout = patience ?? TestNode.Steady.NoSourceTimeout,
            };
            pair.Node = await TestNode.StartAsync(
                "node", options, time: time, paths: name => name == PathNames.Rdma ? test._rdma : name == PathNames.Local ? local : null);
            pair.Node.Meet(test._checkpoint, pair.Source.Info);
            return pair;
        }

        public async Task<PullReport> PullAsync(IProgress<PullProgress>? progress = null, PullWatch? watch = null, int[]? wanted = null)
        {
            var request = new PullRequest(_checkpoint.Manifest, wanted ?? _checkpoint.All, null) { Watch = watch };
            var report = await Node.Transfer.PullAsync(request, progress, TestNode.Deadline);
            if (wanted is null)
            {
                await Node.AssertHoldsAsync(_checkpoint);
            }

            return report;
        }

        public async ValueTask DisposeAsync()
        {
            await Node.DisposeAsync();
            await Source.DisposeAsync();
        }
    }
}
