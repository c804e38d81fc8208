using P2PWeights.Transfer.Swarms;

namespace P2PWeights.Transfer.Pulling;

/// <summary>A source as the <see cref="PullPlanner"/> sees it. Changed by the planner only.</summary>
internal sealed class PlannedSource(Guid peer, int shards)
{
    private static readonly TimeSpan RateWindow = TimeSpan.FromMilliseconds(500);

    private TimeSpan _measuredAt;
    private long _bytesSince;

    /// <summary>Node id.</summary>
    public Guid Peer => peer;

    /// <summary>Shards it holds.</summary>
    public ShardBitmap Held { get; set; } = new(shards);

    /// <summary>Holds every shard of the manifest: it published them, or its pull is over. Others still pull, or hold a part.</summary>
    public bool IsComplete { get; set; }

    /// <summary>How many of the shards still to be asked for it holds.</summary>
    public int Useful { get; set; }

    /// <summary>Asked of it and not received.</summary>
    public long OutstandingBytes { get; set; }

    /// <summary>Asked of it and not received.</summary>
    public int Outstanding { get; set; }

    /// <summary>Not asked before this time of the pull: it is busy, or failed.</summary>
    public TimeSpan NotBefore { get; set; }

    /// <summary>Until this time of the pull it counts as slow.</summary>
    public TimeSpan SlowUntil { get; set; }

    /// <summary>Fetches that failed since the last that did not.</summary>
    public int FailuresInRow { get; set; }

    /// <summary>Bytes per second lately; 0 while unknown.</summary>
    public double Rate { get; private set; }

    /// <summary>Bytes came from it. The rate follows within a few windows, and does not fall while nothing is asked of it.</summary>
    public void Progress(long bytes, TimeSpan now)
    {
        if (bytes == 0 && Outstanding == 0)
        {
            (_measuredAt, _bytesSince) = (now, 0);
            return;
        }

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
