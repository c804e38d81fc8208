using P2PWeights.Tracker;

namespace P2PWeights.Cli.Watching;

/// <summary>
/// What somebody who watches a swarm should see, look by look. The bound is the time in which the node that is furthest behind could have the rest, at the rate that is thought possible: the one given, or
/// the best that any node has shown while it was watched. Values in, values out; the caller brings the clock.
/// </summary>
/// <param name="rate">What a node can receive, in bytes per second; 0 when nobody said.</param>
/// <param name="listed">Nodes that are listed at most; all that are looked at count for the rates and the bound.</param>
internal sealed class SwarmWatch(long rate, int listed)
{
    /// <summary>Nodes to look at, under 1 MiB of them a second: in a larger swarm those with less left count for nothing.</summary>
    public const int MostLookedAt = 4096;

    /// <summary>How long nobody has to pull until the watch ends: for the first pull to begin, or for nodes to come back that a restarted tracker has yet to hear of.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private long _best;
    private int _mostPeers;
    private bool _sawPull;
    private TimeSpan _lastPull;

    /// <summary>Takes the next look at the swarm.</summary>
    /// <param name="at">Time since the watch began.</param>
    public SwarmTick Look(TimeSpan at, SwarmStatus status)
    {
        var pulling = status.Members.Where(member => member.Pulling).ToList();
        _best = Math.Max(_best, pulling.Select(member => member.BytesPerSecond).DefaultIfEmpty().Max());
        _mostPeers = Math.Max(_mostPeers, status.Peers);
        if (status.PullingPeers > 0)
        {
            (_sawPull, _lastPull) = (true, at);
        }

        var possible = rate > 0 ? rate : _best;
        var missing = pulling.Select(Missing).DefaultIfEmpty().Max();
        var rows = status.Members.Take(listed).Select(member => RowOf(member, status.Shards, possible)).ToList();
        return new SwarmTick(
            status,
            at,
            rows,
            possible,
            IsGiven: rate > 0,
            missing,
            Time(missing, possible),
            Slowest(pulling),
            IsOver: status.PullingPeers == 0 && ((_sawPull && status.Peers >= _mostPeers) || at - _lastPull >= Patience));
    }

    /// <summary>When all will be done at the rates of now; null when one of them does not move, or none pulls.</summary>
    private static TimeSpan? Slowest(List<SwarmMember> pulling)
    {
        var times = pulling.Select(member => Time(Missing(member), member.BytesPerSecond)).ToList();
        return times.Count == 0 || times.Contains(null) ? null : times.Max();
    }

    private static SwarmRow RowOf(SwarmMember member, int shards, long possible) => new(
        member,
        member.Pulling ? member.BytesTotal > 0 ? (double)member.BytesDone / member.BytesTotal : 0 : shards > 0 ? (double)member.Shards / shards : 0,
        member.Pulling ? Time(Missing(member), member.BytesPerSecond) : null,
        member.Pulling && member.BytesPerSecond > 0 ? (double)possible / member.BytesPerSecond : null);

    private static long Missing(SwarmMember member) => Math.Max(0, member.BytesTotal - member.BytesDone);

    private static TimeSpan? Time(long bytes, long bytesPerSecond) =>
        bytes == 0 ? TimeSpan.Zero : bytesPerSecond > 0 ? TimeSpan.FromSeconds(Math.Min((double)bytes / bytesPerSecond, TimeSpan.FromDays(99).TotalSeconds)) : null;
}

/// <summary>One look at a swarm.</summary>
/// <param name="At">Time since the watch began.</param>
/// <param name="PossibleBytesPerSecond">The rate of the bound; 0 while nothing is known.</param>
/// <param name="IsGiven">Whether somebody said so; otherwise it is the best rate seen.</param>
/// <param name="MissingBytes">Of the node that is furthest behind.</param>
/// <param name="Bound">The time for those at that rate; null while there is none.</param>
/// <param name="Expected">The time until the last node is done at the rates of now; null when one does not move.</param>
/// <param name="IsOver">Nobody pulls any more.</param>
internal sealed record SwarmTick(
    SwarmStatus Status,
    TimeSpan At,
    IReadOnlyList<SwarmRow> Rows,
    long PossibleBytesPerSecond,
    bool IsGiven,
    long MissingBytes,
    TimeSpan? Bound,
    TimeSpan? Expected,
    bool IsOver);

/// <summary>One node of it.</summary>
/// <param name="Fraction">Of the checkpoint, 0 to 1.</param>
/// <param name="Remaining">At its rate of now; null when it does not move or does not pull.</param>
/// <param name="OverBound">How many times as long it takes as at the possible rate; null likewise.</param>
internal sealed record SwarmRow(SwarmMember Member, double Fraction, TimeSpan? Remaining, double? OverBound);
