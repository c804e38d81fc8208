using System.Collections.Concurrent;
using System.Collections.Immutable;
using Microsoft.Extensions.Logging;
using P2PWeights.Store;
using P2PWeights.Store.Content;
using P2PWeights.Tracker;
using P2PWeights.Transfer;

namespace P2PWeights.Client.Sync;

/// <summary>
/// Keeps the tracker and this node in step: one loop sends what the store gained and lost and the swarms joined, and hands the neighbours that come back
/// to the transfer service. The loop owns all state but the pending changes and the waiters. A tracker that does not answer is a reason to wait longer,
/// never to stop: transfers go on with the neighbours they have. Stopping tells the tracker that this node leaves.
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
    private readonly ReplicaHints _hints = new();
    private readonly PendingChanges _pending = new();
    private readonly ConcurrentDictionary<Digest, long> _requested = new();
    private readonly Signal _now = new();
    private readonly Lock _waitersLock = new();
    private readonly CancellationTokenSource _stop = new();
    private List<TaskCompletionSource> _waiters = [];
    private Task _loop = Task.CompletedTask;
    private TimeSpan _lease = TimeSpan.FromSeconds(10);
    private long _sequence;
    private bool _full = true;
    private long _epoch;
    private long _eventsSeen;
    private long _servedBytes;
    private long _servedAt;
    private volatile bool _reachable;

    public TrackerSync(ShardStore store, TransferService transfer, TrackerClient tracker, PeerInfo self, TimeProvider time, ILogger log)
    {
        (_store, _transfer, _tracker, _self, _time, _log) = (store, transfer, tracker, self, time, log);
        _servedAt = time.GetTimestamp();
    }

    /// <summary>Whether the last sync worked.</summary>
    public bool Reachable => _reachable;

    /// <summary>Starts the loop; the first sync is sent at once.</summary>
    public void Start()
    {
        _store.SetReplicaHint(digest => Math.Max(0, _hints.Replicas(digest) - (_store.Contains(digest) ? 1 : 0)));
        _store.Changed += OnChanged;
        _transfer.NeighboursWanted += Request;
        _loop = RunAsync(_stop.Token);
    }

    /// <summary>Asks for a sync soon: this swarm was joined and needs neighbours.</summary>
    public void Request(Digest manifest)
    {
        _requested[manifest] = _time.GetTimestamp();
        _now.Set();
    }

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
        _transfer.NeighboursWanted -= Request;
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

    private async Task RunAsync(CancellationToken cancellationToken)
    {
        var failures = 0;
        while (!cancellationToken.IsCancellationRequested)
        {
            var waiters = TakeWaiters();
            try
            {
                await SyncAsync(cancellationToken).ConfigureAwait(false);
                waiters.ForEach(waiter => waiter.TrySetResult());
                NodeMetrics.Synced(answered: true);
                NoteReachable(failures);
                failures = 0;
                await WaitForReasonAsync(cancellationToken).ConfigureAwait(false);
            }
            catch (TrackerException e)
            {
                // What the tracker took of the failed request is unknown, so the next one tells everything.
                _full = true;
                _reachable = false;
                NodeMetrics.Synced(answered: false);
                waiters.ForEach(waiter => waiter.TrySetException(e));
                if (++failures == 1)
                {
                    NodeLog.TrackerLost(_log, e.Message);
                }

                await _now.WaitAsync(BackOff.After(failures, _lease, Random.Shared.NextDouble()), _time, cancellationToken).ConfigureAwait(false);
            }
            catch (Exception e) when (e is not OperationCanceledException)
            {
                NodeLog.SyncBroke(_log, e);
                waiters.ForEach(waiter => waiter.TrySetException(e));
                throw;
            }
        }
    }

    /// <summary>One tick is a tenth of the lease: changes are gathered for that long, and without any a heartbeat goes out every third of it.</summary>
    private async Task WaitForReasonAsync(CancellationToken cancellationToken)
    {
        var last = _time.GetTimestamp();
        bool asked;
        do
        {
            asked = await _now.WaitAsync(_lease / 10, _time, cancellationToken).ConfigureAwait(false);
        }
        while (!asked && _pending.IsEmpty && _time.GetElapsedTime(last) < _lease / 3);
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
            _lease = Clamp(TimeSpan.FromMilliseconds(response.LeaseMs));
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
            Take(response);
        }
        while (more);
    }

    /// <summary>The next request. A full one longer than the limit is followed by more, as if the rest had just been gained.</summary>
    private SyncRequest NextRequest(out bool more)
    {
        ImmutableArray<Digest> gained, lost;
        if (_full)
        {
            _pending.Clear();
            var held = _store.List();
            gained = [.. held.Take(MaxDigests).Select(shard => shard.Digest)];
            lost = [];
            foreach (var shard in held.Skip(MaxDigests))
            {
                _pending.Add(shard.Digest);
            }

            more = held.Count > MaxDigests;
        }
        else
        {
            var changed = _pending.Take(MaxDigests);
            var held = changed.ToLookup(_store.Contains);
            (gained, lost) = ([.. held[true]], [.. held[false]]);
            more = changed.Count == MaxDigests;
        }

        return new SyncRequest(_self, _sequence + 1, _full, Leaving: false, gained, lost, Swarms(), _eventsSeen, Load());
    }

    private ImmutableArray<Digest> Swarms() =>
        [.. _transfer.Swarms.OrderByDescending(swarm => _requested.GetValueOrDefault(swarm)).Take(MaxSwarms)];

    private void Take(SyncResponse response)
    {
        if (response.Epoch != _epoch)
        {
            (_epoch, _eventsSeen) = (response.Epoch, 0);
        }

        foreach (var catalogEvent in response.Events)
        {
            _eventsSeen = Math.Max(_eventsSeen, catalogEvent.Number);
            NodeLog.CatalogEvent(_log, catalogEvent.Kind, catalogEvent.Checkpoint);
        }

        foreach (var swarm in response.Swarms)
        {
            _transfer.SetNeighbours(swarm.Manifest, [.. swarm.Neighbours.Select(neighbour => neighbour.Peer)]);
            if (_store.FindManifest(swarm.Manifest) is { } manifest)
            {
                _hints.Update(manifest, swarm.Rarity);
            }
        }
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

    private async Task SayGoodbyeAsync()
    {
        using var deadline = new CancellationTokenSource(GoodbyeDeadline, _time);
        try
        {
            var goodbye = new SyncRequest(_self, _sequence + 1, Full: false, Leaving: true, [], [], [], _eventsSeen, 0);
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

    private static TimeSpan Clamp(TimeSpan lease) => lease < MinLease ? MinLease : lease > MaxLease ? MaxLease : lease;
}
