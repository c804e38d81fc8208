using P2PWeights.Cli.Output;
using P2PWeights.Client;
using P2PWeights.Transfer;

namespace P2PWeights.Cli.Tests.Output;

public sealed class WhyReportTests
{
    private static readonly Dictionary<string, int> NoFailures = [];

    private static readonly SourceReport Rack7 = new(
        Guid.Empty, "rack-7", 12, 192 << 20, 4, 3, 5, 0, null,
        [
            new PathReport("rdma", 4, 64 << 20, TimeSpan.FromSeconds(0.5), new Dictionary<string, int> { ["lane-lost"] = 1, ["stall"] = 3 }),
            new PathReport("tcp", 8, 128 << 20, TimeSpan.FromSeconds(1), NoFailures),
        ]);

    private static readonly SourceReport Liar = new(Guid.Empty, "liar", 0, 0, 1, 0, 0, 0, "sent wrong bytes", [new PathReport("tcp", 0, 0, TimeSpan.Zero, new Dictionary<string, int> { ["wrong-bytes"] = 1 })]);

    private static readonly PullLimit Network = new(
        PullTerms.Wire, "tcp", 0.92, "network (tcp): 15.1 of 16.3 shards under way on average, 92 % of the time", "more sources or a faster path help", 0.25,
        [new StageReport(PullTerms.Wire, "tcp", 15.1, 0.92), new StageReport(PullTerms.Verify, null, 1.2, 0.08)]);

    [Fact]
    public void Explained_pull_tells_sources_paths_failures_and_the_limit()
    {
        var pull = Explained(PullState.Done, null);

        var text = Write(pull);

        Assert.Contains("pull of m@v1 into the node's tiers: done in 2.0 s, begun 1970-01-01 00:00:00Z", text, StringComparison.Ordinal);
        Assert.Contains("limit    network (tcp): 15.1 of 16.3 shards under way on average, 92 % of the time", text, StringComparison.Ordinal);
        Assert.Contains("more sources or a faster path help", text, StringComparison.Ordinal);
        Assert.Contains("stall 3, lane-lost 1", text, StringComparison.Ordinal);
        Assert.Contains("banned: sent wrong bytes", text, StringComparison.Ordinal);
        Assert.Contains("was full 25 % of the time", text, StringComparison.Ordinal);
        Assert.Contains("AVG SHARDS UNDER WAY  TIME", text, StringComparison.Ordinal);
        var rows = text.Split('\n');
        Assert.StartsWith("rack-7  tcp   128 MiB", Assert.Single(rows, row => row.Contains("128 MiB", StringComparison.Ordinal)).TrimStart(), StringComparison.Ordinal);
        Assert.StartsWith("wire    tcp", Assert.Single(rows, row => row.Contains("on the way from a peer", StringComparison.Ordinal)).TrimStart(), StringComparison.Ordinal);
    }

    [Fact]
    public void Running_and_failed_pulls_say_so()
    {
        Assert.Contains("running for 2.0 s", Write(Explained(PullState.Running, null)), StringComparison.Ordinal);
        var failed = Write(Explained(PullState.Failed, "3 shards are missing"));
        Assert.Contains("failed after 2.0 s", failed, StringComparison.Ordinal);
        Assert.Contains("3 shards are missing", failed, StringComparison.Ordinal);
    }

    [Fact]
    public void Pull_that_found_everything_has_no_limit_and_no_table()
    {
        var text = Write(Explained(PullState.Done, null) with { Transfer = null, Limit = null });

        Assert.Contains("nothing had to be transferred", text, StringComparison.Ordinal);
        Assert.DoesNotContain("FROM", text, StringComparison.Ordinal);
    }

    [Fact]
    public void Pull_report_gives_the_share_of_each_path()
    {
        var report = new CheckpointPullReport("m@v1", default, "/target", 1, Transfer);
        using var text = new StringWriter { NewLine = "\n" };

        Reports.Write(text, report);

        Assert.Contains("paths     tcp 67 % (128 MiB), rdma 33 % (64 MiB)", text.ToString(), StringComparison.Ordinal);
        Assert.Contains("limit     network (tcp)", text.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void Shares_name_the_busiest_path_first_and_none_without_bytes() =>
        Assert.Equal("tcp 75 %, rdma 25 %", PathTexts.Shares([new PathBytes("local", 0), new PathBytes("rdma", 1), new PathBytes("tcp", 3)]));

    private static PullReport Transfer => new(192 << 20, 0, 192 << 20, 5, TimeSpan.FromSeconds(2), [Liar, Rack7], Network);

    private static PullExplanation Explained(PullState state, string? failure) => new(
        "m@v1", null, null, state, DateTimeOffset.UnixEpoch, TimeSpan.FromSeconds(2), [new PullPhase(PullPhases.Fetching, TimeSpan.FromSeconds(2))],
        new PullProgress(192 << 20, 192 << 20, 192 << 20, 12, 12, 0), Transfer, Network, failure);

    private static string Write(PullExplanation pull)
    {
        using var text = new StringWriter { NewLine = "\n" };
        WhyReport.Write(text, pull);
        return text.ToString();
    }
}
