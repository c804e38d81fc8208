using System.Text.Json.Serialization;

namespace P2PWeights.Bench.Measuring;

/// <summary>One result: ours beside the anchor's, from paired runs.</summary>
/// <param name="Name">What was measured, as <c>benchmark/case</c>.</param>
/// <param name="Ours">Median of our runs.</param>
/// <param name="Anchor">Median of the anchor's runs.</param>
/// <param name="Unit">Unit of both; more is better.</param>
/// <param name="Ratio">Median of the ratios of the pairs; above 1 is better than the anchor.</param>
/// <param name="Min">Least ratio of a pair.</param>
/// <param name="Max">Greatest ratio of a pair.</param>
/// <param name="Runs">Pairs that counted.</param>
/// <param name="OursCpu">Median processor time of our runs; null where it was not measured.</param>
/// <param name="AnchorCpu">Median processor time of the anchor's runs.</param>
internal sealed record Figure(
    [property: JsonPropertyName("name")] string Name,
    [property: JsonPropertyName("ours")] double Ours,
    [property: JsonPropertyName("anchor")] double Anchor,
    [property: JsonPropertyName("unit")] string Unit,
    [property: JsonPropertyName("ratio")] double Ratio,
    [property: JsonPropertyName("min")] double Min,
    [property: JsonPropertyName("max")] double Max,
    [property: JsonPropertyName("runs")] int Runs,
    [property: JsonPropertyName("oursCpu"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] CpuCost? OursCpu = null,
    [property: JsonPropertyName("anchorCpu"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] CpuCost? AnchorCpu = null)
{
    /// <summary>The figure of paired values.</summary>
    public static Figure FromPairs(string name, string unit, IReadOnlyList<(Sample Ours, Sample Anchor)> pairs)
    {
        var ratios = pairs.Select(pair => pair.Ours.Rate / pair.Anchor.Rate).Order().ToArray();
        return new Figure(
            name,
            Round(Median(pairs.Select(pair => pair.Ours.Rate))),
            Round(Median(pairs.Select(pair => pair.Anchor.Rate))),
            unit,
            Round(Median(ratios)),
            Round(ratios[0]),
            Round(ratios[^1]),
            pairs.Count,
            Median(pairs.Select(pair => pair.Ours.Cpu)),
            Median(pairs.Select(pair => pair.Anchor.Cpu)));
    }

    private static CpuCost? Median(IEnumerable<CpuCost?> costs)
    {
        var known = costs.OfType<CpuCost>().ToList();
        return known.Count == 0 ? null : new CpuCost(Round(Median(known.Select(cost => cost.Sending))), Round(Median(known.Select(cost => cost.Receiving))));
    }

    /// <summary>The middle one, or the mean of the two in the middle.</summary>
    internal static double Median(IEnumerable<double> values)
    {
        var sorted = values.Order().ToArray();
        var middle = sorted.Length / 2;
        return sorted.Length % 2 != 0 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
    }

    /// <summary>Four decimals: more would claim a precision that no run on a shared machine has.</summary>
    private static double Round(double value) => Math.Round(value, 4);
}
