using P2PWeights.Transfer.Swarms;

namespace P2PWeights.Transfer.Pulling.Limits;

/// <summary>Keeps account of where the shards and the time of one pull go, and makes its report. Owned by the pull's loop.</summary>
internal sealed class PullAccount
{
    private readonly PullContext _context;
    private readonly PullPlanner _planner;
    private readonly PullSources _sources;
    private readonly HeldShards _held;
    private readonly PullTally _tally;
    private readonly StageClock _clock;
    private readonly long _receivedBefore;

    public PullAccount(PullContext context, PullPlanner planner, PullSources sources, HeldShards held, PullTally tally)
    {
        (_context, _planner, _sources, _held, _tally) = (context, planner, sources, held, tally);
        Stages = new StageCounts(context.Options.Paths.Count);
        _clock = new StageClock(Stages.Length);
        _receivedBefore = context.Metrics.ReceivedUnderCap;
    }

    /// <summary>Where the fetches tell which stage they are in.</summary>
    public StageCounts Stages { get; }

    /// <summary>Notes where the shards are now, and why there are not more of them on their way.</summary>
    public void Note(TimeSpan now)
    {
        var isFull = _planner.IsWindowFull;
        var why = _planner.Missing == 0 ? NoMore.AllAsked : isFull ? NoMore.WindowsFull : _sources.WhyNoMore();
        _clock.Advance(now, Stages, _held.Copies, _held.Awaited, isFull, why);
    }

    /// <summary>What the pull has done until now. A pull that fetched nothing and lacks nothing has no limit.</summary>
    /// <param name="settled">Bytes received by fetches that have ended.</param>
    public PullReport Report(TimeSpan now, IEnumerable<PullSource> sources, long settled)
    {
        Note(now);
        var received = (_context.Metrics.ReceivedUnderCap - _receivedBefore) / Math.Max(now.TotalSeconds, 1e-3);
        var limit = LimitFinder.Find(_clock.Report(_context.Options.Paths), _clock.WindowFull, received, _context.Options.DownloadBytesPerSecond);
        return _tally.Report(now, sources, _tally.FetchedBytes > 0 || _planner.Left > 0 ? limit : null, settled);
    }
}
