namespace P2PWeights.Bench.Measuring;

/// <summary>Runs ours and its anchors by turns, so that what else the machine does hits all alike.</summary>
internal static class Rounds
{
    /// <summary>Measures one figure per anchor. One round before those that count warms caches, code and sockets.</summary>
    /// <param name="unit">Unit of all rates.</param>
    /// <param name="ours">One run of ours.</param>
    /// <param name="anchors">One run of each anchor, with the name of the figure that sets ours beside it.</param>
    public static async Task<IReadOnlyList<Figure>> MeasureAsync(
        string unit,
        int runs,
        Func<CancellationToken, Task<Sample>> ours,
        IReadOnlyList<(string Figure, Func<CancellationToken, Task<Sample>> RunAsync)> anchors,
        CancellationToken cancellationToken)
    {
        Func<CancellationToken, Task<Sample>>[] contestants = [ours, .. anchors.Select(anchor => anchor.RunAsync)];
        var rounds = new List<Sample[]>(runs);
        for (var round = 0; round <= runs; round++)
        {
            // Who goes first changes, so that none always finds the machine as the same other left it.
            var samples = new Sample[contestants.Length];
            for (var turn = 0; turn < contestants.Length; turn++)
            {
                var next = (round + turn) % contestants.Length;
                samples[next] = await contestants[next](cancellationToken);
            }

            if (round > 0)
            {
                rounds.Add(samples);
            }
        }

        return [.. anchors.Select((anchor, i) => Figure.FromPairs(anchor.Figure, unit, [.. rounds.Select(samples => (samples[0], samples[i + 1]))]))];
    }
}
