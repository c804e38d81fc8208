namespace P2PWeights.Sim;

/// <summary>A peer that has everything.</summary>
/// <param name="Took">Since it began.</param>
/// <param name="Bound">What it could not have been faster than.</param>
/// <param name="IsLate">It began half-way.</param>
/// <param name="IsSlow">Its card is slower than the others'.</param>
public sealed record SimFinish(TimeSpan Took, TimeSpan Bound, bool IsLate, bool IsSlow)
{
    public double OverBound => Took / Bound;
}

/// <summary>What a simulated swarm did.</summary>
/// <param name="Options">What was simulated.</param>
/// <param name="Bound">The bound of the swarm.</param>
/// <param name="Finishes">The peers that finished, by their time over their bound.</param>
/// <param name="PublisherCopies">Shards that the publishers sent, as a multiple of the checkpoint's.</param>
/// <param name="BytesAcrossRacks">Bytes that left a rack.</param>
/// <param name="BytesSent">Bytes that all nodes sent.</param>
/// <param name="Hedges">Shards that were asked for twice.</param>
/// <param name="Busy">Requests that were answered Busy.</param>
/// <param name="Events">Events simulated.</param>
/// <param name="Progress">How it went on.</param>
public sealed record SimReport(
    SimOptions Options,
    TimeSpan Bound,
    IReadOnlyList<SimFinish> Finishes,
    double PublisherCopies,
    long BytesAcrossRacks,
    long BytesSent,
    long Hedges,
    long Busy,
    long Events,
    IReadOnlyList<ProgressPoint> Progress)
{
    public double LastOverBound => Finishes[^1].OverBound;

    public double P99OverBound => Percentile(Finishes, 0.99);

    public double P50OverBound => Percentile(Finishes, 0.5);

    /// <summary>The time over the bound within which this part of some finishes came; by nearest rank. NaN of none.</summary>
    public static double Percentile(IEnumerable<SimFinish> finishes, double part)
    {
        var sorted = finishes.Select(finish => finish.OverBound).Order().ToArray();
        return sorted.Length == 0 ? double.NaN : sorted[Math.Max(0, (int)Math.Ceiling(part * sorted.Length) - 1)];
    }
}
