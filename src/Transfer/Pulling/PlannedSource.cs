using P2PWeights.Transfer.Swarms;

namespace P2PWeights.Transfer.Pulling;

/// <summary>A source as the <see cref="PullPlanner"/> sees it. Changed by the planner only.</summary>
internal sealed class PlannedSource(int shards)
{
    private static readonly TimeSpan RateWindow = TimeSpan.FromMilliseconds(500);

    private TimeSpan _measuredAt;
    private long _bytesSince;

    /// <summary>Shards it holds.</summary>
    public ShardBitmap Held { get; set; } = new(shards);

    /// <summary>How many of the shards still to be asked for it holds.</summary>
    public int Useful { get; set; }

    /// <summary>Asked of it and not received.</summary>
    public long OutstandingBytes { get; set; }

    /// <summary>Asked of it and not received.</summary>
    public int Outstanding { get; set; }

    /// <summary>Not asked before this time of the pull: it is busy, or failed.</summary>
    public TimeSpan NotBefore { get; set; }

    /// <summary>Fetches that failed since the last that did not.</summary>
    public int FailuresInRow { get; set; }

    /// <summary>Bytes per second lately; 0 while unknown.</summary>
    public double Rate { get; private set; }

    /// <summary>Bytes came from it. The rate follows within a few windows, and does not fall while nothing is asked of it.</summary>
    public void Progress(long bytes, TimeSpan now)
    {
        _bytesSince += bytes;
        var span = now - _measuredAt;
        if (span < RateWindow)
        {
            return;
        }

        if (span < 4 * RateWindow)
        {
            var measured = _bytesSince / span.TotalSeconds;
            Rate = Rate == 0 ? measured : (Rate + measured) / 2;
        }

        (_measuredAt, _bytesSince) = (now, 0);
    }
}
