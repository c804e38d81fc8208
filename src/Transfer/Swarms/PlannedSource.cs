namespace P2PWeights.Transfer.Swarms;

/// <summary>A source as the <see cref="PullPlanner"/> sees it. Changed by the planner, and told by its pull what was measured.</summary>
/// <param name="nearness">How near it is, of <see cref="Swarms.Nearness"/>.</param>
internal sealed class PlannedSource(Guid peer, int shards, int nearness)
{
    private static readonly TimeSpan RateWindow = TimeSpan.FromMilliseconds(500);

    /// <summary>
    /// The same, beyond the round trip, while the rate is unknown or grows: until it is known nobody tells a slow source from a fast one, and one far away gets
    /// faster only as more is asked of it.
    /// </summary>
    private static readonly TimeSpan ShortWindow = TimeSpan.FromMilliseconds(100);

    /// <summary>A rate that grew by this in a window is still growing.</summary>
    private const double Growth = 1.25;

    /// <summary>What counts until a round trip was measured: more than inside a cluster, less than around the world.</summary>
    private static readonly TimeSpan UnknownRoundTrip = TimeSpan.FromMilliseconds(50);

    /// <summary>A known rate does not fall below this, in bytes per second: a source that went silent is asked last, and what it would need stays a time that can be told.</summary>
    internal const double LeastRate = 1024;

    private bool _isGrowing = true;
    private TimeSpan _measuredAt;
    private long _bytesSince;

    /// <summary>Node id.</summary>
    public Guid Peer => peer;

    /// <summary>How near it is: near ones are asked before far ones.</summary>
    public int Nearness => nearness;

    /// <summary>Shards it holds.</summary>
    public ShardBitmap Held { get; set; } = new(shards);

    /// <summary>It published the manifest: asked only for what nobody else brings.</summary>
    public bool IsPublisher { get; set; }

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

    /// <summary>Time from asking to the first byte of an answer, as its connections measured it; zero while unknown.</summary>
    public TimeSpan RoundTrip { get; set; }

    /// <summary>Bytes per second lately; 0 while unknown.</summary>
    public double Rate { get; private set; }

    /// <summary>A shard is asked of it.</summary>
    public void Ask(int bytes, TimeSpan now)
    {
        if (Outstanding == 0 && _bytesSince == 0)
        {
            _measuredAt = now;
        }

        Outstanding++;
        OutstandingBytes += bytes;
    }

    /// <summary>A shard that was asked of it is here, or is not to come.</summary>
    public void Release(int bytes)
    {
        Outstanding--;
        OutstandingBytes -= bytes;
    }

    /// <summary>Bytes came from it. The rate follows a rise at once and a fall within a few windows, and does not fall while nothing is asked of it.</summary>
    public void Progress(long bytes, TimeSpan now)
    {
        _bytesSince += bytes;
        if (_bytesSince == 0 && (Outstanding == 0 || Rate == 0))
        {
            // Nothing was asked, or the first byte has not come: of a source that never sent one, the wait alone is known.
            _measuredAt = Outstanding == 0 ? now : _measuredAt;
            return;
        }

        var span = now - _measuredAt;
        if (span < (_isGrowing ? ShortWindow + RoundTrip : RateWindow))
        {
            return;
        }

        var measured = _bytesSince / span.TotalSeconds;
        if (Rate == 0 || span < (4 * RateWindow) + RoundTrip)
        {
            _isGrowing = measured > Growth * Rate;
            Rate = Math.Max(LeastRate, _isGrowing ? measured : (Rate + measured) / 2);
        }

        (_measuredAt, _bytesSince) = (now, 0);
    }

    /// <summary>
    /// Bytes that may be asked of it ahead: its bandwidth-delay product, what it sends until this node has looked again, and a shard per lane, so that a lane does
    /// not idle between two shards. A slow source gets no more of the latter than it sends in a second: what it holds, others cannot bring.
    /// </summary>
    /// <param name="laneBytes">A shard for each of its lanes.</param>
    /// <param name="ahead">Time's worth of bytes beyond the round trip.</param>
    /// <param name="isShared">Others ask it too, so that what this node asks for far ahead may come from elsewhere by then.</param>
    /// <param name="firstBytes">At least so many while its rate is unknown.</param>
    public double Window(double laneBytes, TimeSpan ahead, bool isShared, long firstBytes)
    {
        var delay = ahead + (RoundTrip > TimeSpan.Zero ? RoundTrip : UnknownRoundTrip);
        var product = Rate * delay.TotalSeconds;
        return (isShared, Rate) switch
        {
            (true, _) => Math.Max(laneBytes, product),
            (_, 0) => Math.Max(2 * laneBytes, firstBytes),
            _ => product + Math.Min(laneBytes, Rate),
        };
    }
}
