using P2PWeights.Bench.Swarm;
using P2PWeights.Transfer;

namespace P2PWeights.Swarm.Tests;

public sealed class SwarmAgreementTests
{
    private static readonly SwarmTimes Simulated = new(P50: 100, P99: 110, Last: 120);

    [Theory]
    [InlineData(100, 110, 120, true)]
    [InlineData(109, 120, 131, true)]
    [InlineData(91, 100, 109, true)]
    [InlineData(111, 110, 120, false)]
    [InlineData(100, 122, 120, false)]
    [InlineData(100, 110, 133, false)]
    [InlineData(89, 110, 120, false)] // faster than what was simulated is as wrong
    [InlineData(100, 110, double.PositiveInfinity, false)]
    [InlineData(double.NaN, 110, 120, false)]
    public void Agreement_holds_when_every_time_is_within_a_tenth(double p50, double p99, double last, bool holds)
    {
        var agreement = SwarmAgreement.Of(new SwarmTimes(p50, p99, last), Simulated);

        Assert.Equal(holds, agreement.Holds);
        Assert.EndsWith(holds ? "\n  agrees within 10 %" : "\n  DIFFERS by more than 10 %", agreement.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void Agreement_tells_the_differences() =>
        Assert.StartsWith(
            "  measured against simulated: p50 +5.0 %, p99 -10.0 %, last +0.0 %", SwarmAgreement.Of(new SwarmTimes(105, 99, 120), Simulated).ToString(), StringComparison.Ordinal);

    [Fact]
    public void Times_are_medians_of_the_runs_and_of_none_where_a_pull_failed()
    {
        Assert.Equal(new SwarmTimes(2, 4, 4), SwarmTimes.MedianOf([Run(1, 2, 3), Run(2, 2, 9), Run(1, 4, 4)]));
        Assert.Equal(double.PositiveInfinity, SwarmTimes.MedianOf([Run(1, 2, null)]).P50);
    }

    /// <summary>A run whose nodes took so many seconds each; null is one that failed.</summary>
    private static SwarmResult Run(params int?[] seconds) => new(
        new SwarmShape(Nodes: seconds.Length + 1, ShardBytes: 1, Shards: 8, Rate: 1),
        [.. seconds.Select(took => new SwarmFinish(null!, took ?? 0, took is null ? null : new PullReport(0, 0, 0, 0, TimeSpan.Zero, []), took is null ? "it failed" : null))],
        PublisherCopies: 1,
        MachineBusy: 0);
}
