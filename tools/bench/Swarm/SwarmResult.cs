using P2PWeights.Transfer;

namespace P2PWeights.Bench.Swarm;

/// <summary>How one node's pull ended.</summary>
/// <param name="Seconds">From the moment when it was told to begin.</param>
/// <param name="Report">What it did; null when it failed.</param>
/// <param name="Failure">Why it failed, or null.</param>
internal sealed record SwarmFinish(SwarmNode Node, double Seconds, PullReport? Report, string? Failure);

/// <summary>How one run of a swarm went.</summary>
/// <param name="Finishes">The pulls, by name of their nodes.</param>
/// <param name="PublisherCopies">What the publisher sent, in checkpoints.</param>
/// <param name="MachineBusy">Part of the machine's processor time that was used meanwhile, 0 to 1.</param>
internal sealed record SwarmResult(SwarmShape Shape, IReadOnlyList<SwarmFinish> Finishes, double PublisherCopies, double MachineBusy)
{
    /// <summary>The pulls that brought the checkpoint.</summary>
    public IReadOnlyList<SwarmFinish> Done => [.. Finishes.Where(finish => finish.Report is not null)];

    /// <summary>The time of a quantile of some finishers over the bound (nearest rank); NaN for none.</summary>
    public double OverBound(double quantile, IEnumerable<SwarmFinish> finishes)
    {
        var sorted = finishes.Select(finish => finish.Seconds).Order().ToArray();
        return sorted.Length == 0 ? double.NaN : sorted[Math.Max(0, (int)Math.Ceiling(quantile * sorted.Length) - 1)] / Shape.BoundSeconds;
    }

    /// <summary>Bytes that came and did not become a shard, over all that came.</summary>
    public double Wasted => Done.Sum(finish => (double)finish.Report!.BytesWasted) / Math.Max(1, Done.Sum(finish => finish.Report!.BytesFetched));
}
