namespace P2PWeights.Bench.Syncing;

/// <summary>What one run of syncs gave.</summary>
internal sealed class SyncLatencies
{
    private readonly double[] _latencies;
    private readonly double[] _lateness;

    /// <param name="latencies">In ms, from when each was due to its decoded answer.</param>
    /// <param name="lateness">In ms, by how much this process sent each too late: part of the latency, and not the tracker's.</param>
    /// <param name="refused">Those that were to be said again in full.</param>
    /// <param name="sent">Bytes of all bodies.</param>
    /// <param name="received">Bytes of all answers' bodies.</param>
    public SyncLatencies(IEnumerable<double> latencies, IEnumerable<double> lateness, double seconds, int refused, long sent, long received)
    {
        (_latencies, _lateness) = ([.. latencies.Order()], [.. lateness.Order()]);
        (Seconds, Refused, SentPerSync, ReceivedPerSync) = (seconds, refused, sent / _latencies.Length, received / _latencies.Length);
    }

    public int Count => _latencies.Length;

    public double Seconds { get; }

    public int Refused { get; }

    public long SentPerSync { get; }

    public long ReceivedPerSync { get; }

    public double Max => _latencies[^1];

    /// <summary>The latency that this part of the syncs did not exceed.</summary>
    public double At(double part) => At(_latencies, part);

    /// <summary>The same of the lateness of this process.</summary>
    public double LateAt(double part) => At(_lateness, part);

    private static double At(double[] sorted, double part) => sorted[Math.Min(sorted.Length - 1, (int)Math.Ceiling(part * sorted.Length) - 1)];
}
