namespace P2PWeights.Client.Sync;

/// <summary>How long to wait after failures in a row: doubling, capped, and spread by a quarter either way so that a cluster does not come back in step.</summary>
internal static class BackOff
{
    private static readonly TimeSpan First = TimeSpan.FromMilliseconds(250);

    /// <param name="failures">Failures in a row, 1 or more.</param>
    /// <param name="most">The cap.</param>
    /// <param name="random">0 (inclusive) to 1 (exclusive).</param>
    public static TimeSpan After(int failures, TimeSpan most, double random)
    {
        var doubled = First * Math.Pow(2, Math.Min(failures - 1, 16));
        return (doubled < most ? doubled : most) * (0.75 + (0.5 * random));
    }
}
