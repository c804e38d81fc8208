using P2PWeights.Bench.Measuring;

namespace P2PWeights.Bench.Updating;

/// <summary>One row of the table.</summary>
/// <param name="Line">For people.</param>
/// <param name="Figures">For <c>--json</c>: against each anchor that there is, in GB/s.</param>
internal sealed record UpdateRow(string Line, IReadOnlyList<Figure> Figures)
{
    /// <summary>Ours against one anchor, run by run, in bytes per second.</summary>
    public static Figure Against(string name, IEnumerable<double> ours, IEnumerable<double> anchor) =>
        Figure.FromPairs(name, "GB/s", [.. ours.Zip(anchor, (one, other) => (new Sample(one / 1e9), new Sample(other / 1e9)))]);
}
