using System.Globalization;
using P2PWeights.Bench.Measuring;

namespace P2PWeights.Bench.Swarm;

/// <summary>When the nodes of a swarm were through, in seconds.</summary>
/// <param name="P50">The middle one.</param>
/// <param name="P99">The 99th percentile.</param>
/// <param name="Last">The last one.</param>
internal readonly record struct SwarmTimes(double P50, double P99, double Last)
{
    /// <summary>The medians of some runs. A swarm of which a pull failed never gets through.</summary>
    public static SwarmTimes MedianOf(IReadOnlyList<SwarmResult> results) => new(Median(results, 0.5), Median(results, 0.99), Median(results, 1));

    private static double Median(IReadOnlyList<SwarmResult> results, double quantile) => Figure.Median(results.Select(result =>
        result.Done.Count < result.Finishes.Count ? double.PositiveInfinity : result.OverBound(quantile, result.Done) * result.Shape.BoundSeconds));
}

/// <summary>How far apart nodes and the simulator are: the difference of each time, as a part of the simulated one.</summary>
internal sealed record SwarmAgreement(double P50, double P99, double Last)
{
    /// <summary>Farther apart, the simulator is wrong, or the machine was too slow for what it was to measure.</summary>
    private const double Most = 0.1;

    public static SwarmAgreement Of(SwarmTimes measured, SwarmTimes simulated) =>
        new((measured.P50 / simulated.P50) - 1, (measured.P99 / simulated.P99) - 1, (measured.Last / simulated.Last) - 1);

    /// <summary>Whether all three are near enough.</summary>
    public bool Holds => double.Abs(P50) <= Most && double.Abs(P99) <= Most && double.Abs(Last) <= Most;

    /// <summary>The differences, and on a line of its own what they come to.</summary>
    public override string ToString() => string.Create(
        CultureInfo.InvariantCulture,
        $"  measured against simulated: p50 {P50:+0.0 %;-0.0 %}, p99 {P99:+0.0 %;-0.0 %}, last {Last:+0.0 %;-0.0 %}\n  {(Holds ? "agrees within" : "DIFFERS by more than")} {Most:0 %}");
}
