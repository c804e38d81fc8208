using System.Collections.Concurrent;
using System.Collections.Immutable;
using Microsoft.Extensions.Logging;
using P2PWeights.Store;
using P2PWeights.Store.Content;
using P2PWeights.Tracker;
using P2PWeights.Transfer;

namespace P2PWeights.Client.Sync;

/// <summary>
/// Keeps the tracker and this node in step: one loop sends what the store gained and lost, the swarms joined and how far pulls are, and hands the neighbours that come back
/// to the transfer service. The loop owns all state but the pending changes and the waiters. A tracker that does not answer, or a sync that fails in whatever other way, is a reason
/// to wait longer, never to stop: transfers go on with the neighbours they have. Stopping tells the tracker that this node leaves.
/// </summary>
internal sealed class TrackerSync : IAsyncDisposable
{
    /// <summary>Most digests in one request, gained and lost together: 2 MiB of them.</summary>
    internal const int MaxDigests = 65_536;

    /// <summary>Most swarms in one request: the tracker takes no more (docs/protocol.md). A node that keeps more is found in those asked for last.</summary>
    internal const int MaxSwarms = 256;

    private const int MaxResyncs = 3;
    private static readonly TimeSpan GoodbyeDeadline = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan MinLease = TimeSpan.FromMilliseconds(300);
    private static readonly TimeSpan MaxLease = TimeSpan.FromMinutes(5);

    private readonly ShardStore _store;
    private readonly TransferService _transfer;
    private readonly TrackerClient _tracker;
    private readonly PeerInfo _self;
    private readonly TimeProvider _time;
    private readonly ILogger _log;
    private readonly ReplicaHints _hints;
    private readonly PendingChanges _pending = new();
    private readonly SwarmLedger _ledger = new();
    private readonly WatchedPulls _pulls = new();
    private readonly ConcurrentDictionary<Digest, long> _requested = new();
    private readonly Signal _now = new();
    private readonly Lock _waitersLock = new();
    private readonly CancellationTokenSource _stop = new();
    private List<TaskCompletionSource> _waiters = [];
    private Task _loop = Task.CompletedTask;
    private TimeSpan _lease = TimeSpan.FromSeconds(10);
    private TimeSpan _gather = TimeSpan.FromSeconds(1);
    private long _sequence;
    private bool _full = true;
    private long _epoch;
    private long _eventsSeen;
    private long _servedBytes;
    private long _servedAt;
    private volatile bool _hasNews;
    private volatile bool _reachable;

    public TrackerSync(ShardStore store, TransferService transfer, TrackerClient tracker, PeerInfo self, TimeProvider time, ILogger log)
    {
        (_store, _transfer, _tracker, _self, _time, _log) = (store, transfer, tracker, self, time, log);
        _hints = new ReplicaHints(transfer.SwarmsWith);
        _servedAt = time.GetTimestamp();
    }

    /// <summary>Whether the last sync worked.</summary>
    public bool Reachable => _reachable;

    /// <summary>Starts the loop; the first sync is sent at once.</summary>
    public void Start()
    {
        _store.SetReplicaHint(digest => _hints.IsElsewhere(digest) ? 1 : 0);
        _store.Changed += OnChanged;
        _transfer.NeighboursWanted += OnNeighboursWanted;
        _loop = RunAsync(_stop.Token);
    }

    /// <summary>Asks for a sync at once, for neighbours, and tells the tracker how far the pull is until the result is disposed.</summary>
    /// <param name="progress">How far it is now; null before anything is known.</param>
    public IDisposable Pulling(Digest manifest, Func<PullProgress?> progress)
    {
        Prefer(manifest);
        var pull = _pulls.Enter(manifest, progress, () => _hasNews = true);
        _now.Set();
        return pull;
    }

    /// <summary>Of more swarms than the tracker takes, this one is among those that it is told of.</summary>
    public void Prefer(Digest manifest)
    {
        _requested[manifest] = _time.GetTimestamp();

        // That one which is not among the last so many was asked for, too, would change nothing.
        if (_requested.Count > MaxSwarms)
        {
            _requested.TryRemove(_requested.MinBy(requested => requested.Value));
        }
    }

    /// <summary>Swarms that are remembered as asked for.</summary>
    internal int Preferred => _requested.Count;

    /// <summary>A swarm was entered, of which the next sync should tell, soon and not at once.</summary>
    public void Entered(Digest manifest)
    {
        Prefer(manifest);
        _hasNews = true;
    }

    /// <summary>Asks for a sync now: what kept the last one from working may have changed.</summary>
    public void Hurry() => _now.Set();

    /// <summary>Returns once the tracker knows everything that the store held and every swarm that was joined at the time of the call.</summary>
    /// <exception cref="TrackerException">The next sync failed.</exception>
    public async Task AnnounceAsync(CancellationToken cancellationToken)
    {
        var told = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        lock (_waitersLock)
        {
            _waiters.Add(told);
        }

        _now.Set();
        await told.Task.WaitAsync(cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Ends the loop and says goodbye.</summary>
    public async ValueTask DisposeAsync()
    {
        _store.Changed -= OnChanged;
        _transfer.NeighboursWanted -= OnNeighboursWanted;
        await _stop.CancelAsync().ConfigureAwait(false);
        await _loop.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        TakeWaiters().ForEach(waiter => waiter.TrySetCanceled());
        if (_reachable)
        {
            await SayGoodbyeAsync().ConfigureAwait(false);
        }

        _stop.Dispose();
    }

    private void OnChanged(ShardChange change) => _pending.Add(change.Shard.Digest);

    private void OnNeighboursWanted(Digest manifest)
    {
        if (_pulls.IsNewsworthy(manifest))
        {
            _now.Set();
        }
    }

    private async Task RunAsync(CancellationToken cancellationToken)
    {
        var failures = 0;
        while (!cancellationToken.IsCancellationRequested)
        {
            var waiters = TakeWaiters();
            if (waiters.Count > 0)
            {
                _ledger.OfferAll();
            }

            try
            {
                await SyncAsync(cancellationToken).ConfigureAwait(false);
                NodeMetrics.Synced(answered: true);
                NoteReachable(failures);
                waiters.ForEach(waiter => waiter.TrySetResult());
                failures = 0;
                await WaitForReasonAsync(cancellationToken).ConfigureAwait(false);
            }
            catch (Exception) when (cancellationToken.IsCancellationRequested)
            {
                waiters.ForEach(waiter => waiter.TrySetCanceled(cancellationToken));
            }
            catch (Exception e)
            {
                // What the tracker took of the failed request is unknown, so the next one tells everything.
                _full = true;
                _reachable = false;
                NodeMetrics.Synced(answered: false);
                var told = Note(e, ++failures);
                waiters.ForEach(waiter => waiter.TrySetException(told));
                await _now.WaitAsync(BackOff.After(failures, _lease, Random.Shared.NextDouble()), _time, cancellationToken).ConfigureAwait(false);
            }
        }
    }

    /// <summary>Changes are gathered for as long as the tracker asks for; without any a heartbeat goes out every third of the lease.</summary>
    private async Task WaitForReasonAsync(CancellationToken cancellationToken)
    {
        var last = _time.GetTimestamp();
        bool asked;
        do
        {
            asked = await _now.WaitAsync(_gather, _time, cancellationToken).ConfigureAwait(false);
        }
        while (!asked && _pending.IsEmpty && !_hasNews && _time.GetElapsedTime(last) < _lease / 3);
    }

    private async Task SyncAsync(CancellationToken cancellationToken)
    {
        var resyncs = 0;
        bool more;
        do
        {
            var request = NextRequest(out more);
            var response = await _tracker.SyncAsync(request, cancellationToken).ConfigureAwait(false);
            _sequence = request.Sequence;
            _lease = Clamp(TimeSpan.FromMilliseconds(response.LeaseMs), MinLease, MaxLease);
            _gather = Clamp(TimeSpan.FromMilliseconds(response.GatherMs), _lease / 100, _lease / 3);
            if (response.Resync)
            {
                if (++resyncs > MaxResyncs)
                {
                    throw new TrackerException(TrackerError.Protocol, $"the tracker asked {resyncs} times in a row for everything that this node holds, and took none of it");
                }

                _full = more = true;
                continue;
            }

            _full = false;
            more |= Take(request, response);
        }
        while (more);
    }

    /// <summary>The next request. Digests beyond the limit are left for the one after it.</summary>
    private SyncRequest NextRequest(out bool more)
    {
        _hasNews = false;
        if (_full)
        {
            _ledger.Clear();
            _pulls.ForgetViews();
            _pending.Clear();
            foreach (var shard in _store.List())
            {
                _pending.Add(shard.Digest);
            }
        }

        // What was changed is taken before the swarms are looked at: their bitmaps have it then.
        var changed = _pending.Take(MaxDigests);
        more = changed.Count == MaxDigests;
        var joined = JoinedSwarms();
        var (swarms, left) = _ledger.Changes([.. joined.Select(swarm => new SwarmHoldings(swarm.Manifest.Digest, swarm.Held()))]);
        var told = joined.Where(swarm => _ledger.Told.Contains(swarm.Manifest.Digest) || swarms.Any(said => said.Manifest == swarm.Manifest.Digest)).ToList();
        var held = changed.Where(shard => !told.Exists(swarm => swarm.OrdinalOf(shard) >= 0)).ToLookup(_store.Contains);
        return new SyncRequest(
            _self, _sequence + 1, _full, Leaving: false, [.. held[true]], [.. held[false]], swarms, left, _pulls.Describe(MaxSwarms), _eventsSeen, Load());
    }

    private List<JoinedSwarm> JoinedSwarms() =>
        [.. _transfer.Swarms.OrderByDescending(swarm => _requested.GetValueOrDefault(swarm)).Take(MaxSwarms).Select(_transfer.Joined).OfType<JoinedSwarm>()];

    /// <summary>Takes an answer; true when it leaves something to be said at once.</summary>
    private bool Take(SyncRequest request, SyncResponse response)
    {
        if (response.Epoch != _epoch)
        {
            (_epoch, _eventsSeen) = (response.Epoch, 0);
        }

        _ledger.Took(request, response.Unknown);
        foreach (var catalogEvent in response.Events)
        {
            _eventsSeen = Math.Max(_eventsSeen, catalogEvent.Number);
            _ledger.Offer(catalogEvent.Manifest);
            NodeLog.CatalogEvent(_log, catalogEvent.Kind, catalogEvent.Checkpoint);
        }

        foreach (var view in _pulls.Take(response.Swarms))
        {
            _transfer.SetNeighbours(view.Manifest, view.Neighbours!.Value);
        }

        foreach (var manifest in request.Left)
        {
            _hints.Forget(manifest);
        }

        if (response.Scarce is { } scarce)
        {
            _hints.Update(scarce, _ledger.ToldOf(scarce.Manifest).Span);
        }

        return TellByDigest(response.Unknown);
    }

    /// <summary>What is held of swarms that the tracker does not know is told shard by shard, for other manifests may have the same shards.</summary>
    private bool TellByDigest(ImmutableArray<Digest> unknown)
    {
        foreach (var shard in unknown.Select(_transfer.Joined).OfType<JoinedSwarm>().SelectMany(swarm => swarm.Manifest.Shards).Where(shard => _store.Contains(shard.Digest)))
        {
            _pending.Add(shard.Digest);
        }

        return !unknown.IsEmpty && !_pending.IsEmpty;
    }

    /// <summary>Bytes per second sent since the last request.</summary>
    private long Load()
    {
        var now = _time.GetTimestamp();
        var seconds = _time.GetElapsedTime(_servedAt, now).TotalSeconds;
        var bytes = _transfer.Served.Bytes;
        var load = seconds > 0 ? (long)((bytes - _servedBytes) / seconds) : 0;
        (_servedAt, _servedBytes) = (now, bytes);
        return load;
    }

    private void NoteReachable(int failures)
    {
        if (!_reachable)
        {
            NodeLog.TrackerFound(_log, failures);
        }

        _reachable = true;
    }

    /// <summary>Logs that a sync failed; gives what those who wait for it are told.</summary>
    private TrackerException Note(Exception failure, int failures)
    {
        if (failure is not TrackerException known)
        {
            NodeLog.SyncBroke(_log, failure);
            return new TrackerException(TrackerError.Protocol, $"the sync with the tracker failed in a way that nobody thought of, and is tried again: {failure.Message}", failure);
        }

        if (failures == 1)
        {
            NodeLog.TrackerLost(_log, known.Message);
        }

        return known;
    }

    private async Task SayGoodbyeAsync()
    {
        using var deadline = new CancellationTokenSource(GoodbyeDeadline, _time);
        try
        {
            var goodbye = new SyncRequest(_self, _sequence + 1, Full: false, Leaving: true, [], [], [], [], [], _eventsSeen, 0);
            await _tracker.SyncAsync(goodbye, deadline.Token).ConfigureAwait(false);
        }
        catch (Exception e) when (e is TrackerException or OperationCanceledException)
        {
            NodeLog.GoodbyeUnheard(_log, e.Message);
        }
    }

    private List<TaskCompletionSource> TakeWaiters()
    {
        lock (_waitersLock)
        {
            return Interlocked.Exchange(ref _waiters, []);
        }
    }

    private static TimeSpan Clamp(TimeSpan span, TimeSpan least, TimeSpan most) => span < least ? least : span > most ? most : span;
}
