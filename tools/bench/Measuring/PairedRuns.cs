namespace P2PWeights.Bench.Measuring;

/// <summary>Runs ours and the anchor by turns, so that what else the machine does hits both alike.</summary>
internal static class PairedRuns
{
    /// <summary>Measures one figure. One pair before those that count warms caches, code and sockets.</summary>
    /// <param name="ours">One run; returns its rate in <paramref name="unit"/>.</param>
    /// <param name="anchor">One run of the anchor; returns its rate.</param>
    public static async Task<Figure> MeasureAsync(
        string name,
        string unit,
        int runs,
        Func<CancellationToken, Task<double>> ours,
        Func<CancellationToken, Task<double>> anchor,
        CancellationToken cancellationToken)
    {
        var pairs = new List<(double Ours, double Anchor)>(runs);
        for (var run = -1; run < runs; run++)
        {
            // Who goes first changes, so that neither always finds the machine as the other left it.
            var oursFirst = run % 2 == 0;
            var first = await (oursFirst ? ours : anchor)(cancellationToken);
            var second = await (oursFirst ? anchor : ours)(cancellationToken);
            if (run >= 0)
            {
                pairs.Add(oursFirst ? (first, second) : (second, first));
            }
        }

        return Figure.FromPairs(name, unit, pairs);
    }
}
