using Microsoft.Extensions.Logging;
using P2PWeights.Tracker.Discovery.Browsing;
using P2PWeights.Tracker.Discovery.Network;

namespace P2PWeights.Tracker.Discovery;

/// <summary>
/// The trackers of a cluster that tell the network where they are, as they come, move and go. Thread-safe. Multicast DNS proves nothing: with a cluster key only trackers count
/// that prove to have it, without one anybody on the network can be a tracker.
/// </summary>
public sealed class TrackerDiscovery : IAsyncDisposable
{
    private readonly DiscoveryOptions _options;
    private readonly string? _clusterKey;
    private readonly TimeProvider _time;
    private readonly long _start;
    private readonly ILogger _log;
    private readonly MulticastDns _dns;

    /// <summary>Anybody on the network can call itself a tracker under ever new names, and is not to fill the log.</summary>
    private readonly RateBudget _lines = new(perSecond: 0.1, burst: 20);
    private readonly TaskCompletionSource _first = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private volatile IReadOnlyList<DiscoveredTracker> _trackers = [];
    private volatile IReadOnlyList<RejectedTracker> _rejected = [];

    /// <summary>Starts to look.</summary>
    /// <exception cref="TrackerException"><see cref="TrackerError.Listen"/>: multicast DNS cannot be used here.</exception>
    public TrackerDiscovery(DiscoveryOptions options, string? clusterKey, TimeProvider time, ILogger log)
    {
        (_options, _clusterKey, _time, _start, _log) = (options, clusterKey, time, time.GetTimestamp(), log);
        var metrics = DiscoveryMetrics.OfNodes;
        _dns = new MulticastDns(new ServiceBrowser(new Random(), Take, metrics.Refused), time, metrics, log);
    }

    /// <summary>The list became another one. Called by the thread that heard of it, which must not be kept.</summary>
    public event Action? Changed;

    /// <summary>Those found now, the one to try first at the start; the same order on all nodes.</summary>
    public IReadOnlyList<DiscoveredTracker> Trackers => _trackers;

    /// <summary>Those that are not used, with the reasons.</summary>
    public IReadOnlyList<RejectedTracker> Rejected => _rejected;

    /// <summary>Returns once a tracker was found.</summary>
    public Task FirstAsync(CancellationToken cancellationToken) => _first.Task.WaitAsync(cancellationToken);

    public ValueTask DisposeAsync() => _dns.DisposeAsync();

    private void Take(IReadOnlyList<FoundService> services)
    {
        var (trackers, rejected) = TrackerSelection.Of(services, _options.Cluster, _clusterKey);
        foreach (var one in rejected.Except(_rejected).Where(MayLog))
        {
            TrackerLog.TrackerRejected(_log, one.Instance, one.Reason);
        }

        _rejected = rejected;
        if (trackers.SequenceEqual(_trackers))
        {
            return;
        }

        foreach (var one in trackers.Except(_trackers).Where(MayLog))
        {
            TrackerLog.TrackerDiscovered(_log, one.Instance, one.Address);
        }

        foreach (var one in _trackers.Except(trackers).Where(MayLog))
        {
            TrackerLog.TrackerGone(_log, one.Instance, one.Address);
        }

        _trackers = trackers;
        if (trackers.Count > 0)
        {
            _first.TrySetResult();
        }

        Changed?.Invoke();
    }

    private bool MayLog<T>(T _) => _lines.TryTake(_time.GetElapsedTime(_start));
}
