using P2PWeights.Store;
using P2PWeights.Transfer.Pulling.Limits;
using P2PWeights.Transfer.Swarms;

namespace P2PWeights.Transfer.Pulling;

/// <summary>
/// One pull, carried out. A single loop owns the planner and all other state; sessions, fetches and the timer run beside it and post to it what happened.
/// After every batch of news the loop asks the planner what to ask for next. Whatever ends the pull, everything started for it has ended when
/// <see cref="RunAsync"/> returns (sessions given back may still be closing), and every verified shard stays.
/// </summary>
internal sealed class Pull
{
    private static readonly TimeSpan Tick = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan ProgressInterval = TimeSpan.FromMilliseconds(200);
    private static readonly TimeSpan NeighboursInterval = TimeSpan.FromMilliseconds(500);

    private readonly PullContext _context;
    private readonly PullRequest _request;
    private readonly IProgress<PullProgress>? _progress;
    private readonly PullPlanner _planner;
    private readonly PullTally _tally;
    private readonly HeldShards _held;
    private readonly PullLoop _loop;
    private readonly PullSources _sources;
    private readonly FetchBook _fetches = new();
    private readonly FetchContext _fetching;
    private readonly PullAccount _account;
    private readonly HashSet<int> _failedOnce = [];
    private readonly PullPatience _patience;
    private Swarm _swarm = null!;
    private TimeSpan _lastProgress;
    private TimeSpan _lastNeighbours = -NeighboursInterval;

    public Pull(PullContext context, PullRequest request, IProgress<PullProgress>? progress, Random random)
    {
        _context = context;
        _request = request;
        _progress = progress;
        _loop = new PullLoop(context.Time);
        var isToGpu = request.Target.Gpu is not null;
        var window = isToGpu ? context.Options.GpuWindowBytes : context.Options.WindowBytes;
        _planner = new PullPlanner(
            request.Manifest.Shards, request.Wanted, new PlannerOptions(window, context.Options.LanesPerPeer)
            {
                LookAheadBytes = request.LookAheadBytes > 0 ? request.LookAheadBytes : long.MaxValue,
                IdleLookAheadBytes = Math.Max(request.LookAheadBytes, 2 * window),
                FirstBytesOnHost = isToGpu ? window : 0,
            },
            random);
        _tally = new PullTally(_planner.WantedBytes, _planner.Left, context.Options.Paths);
        _patience = new PullPatience(context.Options.NoSourceTimeout);
        _held = new HeldShards(context.Store, request.Target);
        _sources = new PullSources(context, request.Manifest, _planner, _loop);
        _sources.Banned += OnBanned;
        _account = new PullAccount(context, _planner, _sources, _held, _tally);
        _fetching = new FetchContext(
            context.Store, request.Target, _account.Stages, _tally, context.Metrics, context.Time, _loop, fetch => OnReceived((Fetch)fetch), fetch => OnEnded((Fetch)fetch));
    }

    private TimeSpan Now => _loop.Now;

    /// <exception cref="TransferException">No sources.</exception>
    /// <exception cref="StoreException">The store cannot take more.</exception>
    public async Task<PullReport> RunAsync(CancellationToken cancellationToken)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        using var pin = _request.Target.Folder is null ? _context.Store.Pin(_request.Wanted.Select(o => _request.Manifest.Shards[o].Digest)) : null;
        _loop.Stopping = stop.Token;
        _swarm = _context.Swarms.Join(_request.Manifest);
        _swarm.NeighboursChanged += OnNeighboursChanged;
        _context.Log.PullStarted(_request.Manifest.Digest.ToShortString(), _request.Wanted.Count, _tally.Progress(0).BytesTotal);
        try
        {
            TakeHeldShards();
            _sources.Refresh(_swarm.Neighbours);
            _loop.RunEvery(Tick, OnTick);
            await _loop.RunUntilAsync(() => _planner.Left == 0, Schedule).ConfigureAwait(false);
        }
        finally
        {
            _swarm.NeighboursChanged -= OnNeighboursChanged;
            await stop.CancelAsync().ConfigureAwait(false);
            await _loop.WaitForWorkAsync().ConfigureAwait(false);
            EndFetches();
            ShowReport();
        }

        var report = Report();
        _progress?.Report(_tally.Progress(0));
        _context.Log.PullDone(
            _request.Manifest.Digest.ToShortString(), report.BytesFetched, report.BytesReused, report.BytesWasted, report.Elapsed.TotalSeconds);
        return report;
    }

    /// <summary>What all received is looked at first: a byte that comes meanwhile counts as under way and not as wasted.</summary>
    private PullReport Report() => _account.Report(Now, _sources.Reported, settled: _tally.ReceivedBytes - _fetches.All.Sum(fetch => fetch.ReceivedBytes));

    private void ShowReport()
    {
        if (_request.Watch is { } watch)
        {
            watch.Report = Report();
        }
    }

    private void OnTick()
    {
        var now = Now;
        foreach (var source in _sources.Current)
        {
            var bytes = source.TakeReceived();
            source.Planned?.Progress(bytes, now);
            if (bytes > 0)
            {
                _patience.Lives(now);
            }

            if (source.Denied.TakeEnded(now))
            {
                _sources.SourceChanged(source);
            }

            for (var path = 0; path < _context.Options.Paths.Count; path++)
            {
                if (source.IsSilent(path, _context.Options.StallTimeout))
                {
                    GiveUpStalled(source, path);
                }
            }
        }

        // Shards on their way through this node (room, verification, copies) are life too: only a pull that waits for peers alone can lack sources.
        if (_held.Pending > 0 || _fetches.AnyBeyondPeers)
        {
            _patience.Lives(now);
        }
        else if (_patience.Verdict(now) is { } why)
        {
            _loop.Fail(NoSources(why));
        }

        _sources.RefreshTurnedAway();
        if (now - _lastNeighbours >= NeighboursInterval && _swarm.TakeStrangers())
        {
            _lastNeighbours = now;
            _context.NeighboursWanted(_request.Manifest.Digest);
        }

        if (now - _lastProgress >= ProgressInterval)
        {
            _lastProgress = now;
            _progress?.Report(_tally.Progress(_sources.Current.Count(source => source.Planned is { Outstanding: > 0 })));
            ShowReport();
        }
    }

    private TransferException NoSources(string why)
    {
        var bytes = _planner.Open.Sum(ordinal => (long)_request.Manifest.Shards[ordinal].Size);
        return new TransferException(
            TransferError.NoSources,
            $"{_planner.Left} shards ({bytes} bytes) of manifest {_request.Manifest.Digest.ToShortString()} are missing and {why}; what was fetched is kept. "
            + _sources.Tried());
    }

    // --- Shards that need no fetch ---

    private void TakeHeldShards()
    {
        for (var ordinal = 0; ordinal < _request.Manifest.Shards.Length; ordinal++)
        {
            if (_planner.IsOpen(ordinal) && IsHeld(ordinal))
            {
                _planner.SetAside(ordinal);
                TakeHeld(ordinal);
            }
        }
    }

    private bool IsHeld(int ordinal) => !_held.IsUseless(ordinal) && _context.Store.Contains(_request.Manifest.Shards[ordinal].Digest);

    /// <summary>The store holds the shard, which is set aside: done, or to be copied to where it is wanted.</summary>
    private void TakeHeld(int ordinal)
    {
        var shard = _request.Manifest.Shards[ordinal];
        if (_held.IsInPlace(shard))
        {
            _planner.Done(ordinal);
            _tally.Reused(shard.Size);
            return;
        }

        _held.Enqueue(ordinal);
        CopyHeld();
    }

    private void CopyHeld()
    {
        while (_held.BeginCopy() is { } ordinal)
        {
            _loop.Run(async () =>
            {
                var copied = await _held.CopyAsync(_request.Manifest.Shards[ordinal], _loop.Stopping).ConfigureAwait(false);
                _loop.Post(() => OnCopied(ordinal, copied));
            });
        }
    }

    private void OnCopied(int ordinal, HeldCopy copied)
    {
        _held.EndCopy(ordinal, copied);
        CopyHeld();
        _patience.Lives(Now);
        if (copied.Failure is { } failure)
        {
            _loop.Fail(failure);
        }
        else if (copied.Found)
        {
            _planner.Done(ordinal);
            _tally.Reused(_request.Manifest.Shards[ordinal].Size);
        }
        else
        {
            _planner.PutBack(ordinal);
        }
    }

    /// <summary>Another pull of this node fetches the shard: waits for that one.</summary>
    private void WaitForOther(int ordinal, Task other)
    {
        _held.BeginAwait();
        _loop.Run(async () =>
        {
            await other.WaitAsync(_loop.Stopping).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            _loop.Post(() =>
            {
                _held.EndAwait();
                _patience.Lives(Now);
                if (IsHeld(ordinal))
                {
                    TakeHeld(ordinal);
                }
                else
                {
                    _planner.PutBack(ordinal);
                }
            });
        });
    }

    // --- Fetches ---

    private void Schedule()
    {
        Assign();
        _account.Note(Now);
    }

    private void Assign()
    {
        while (_planner.Next(Now) is { } assignment)
        {
            var shard = _request.Manifest.Shards[assignment.Ordinal];
            var other = assignment.Hedge ? null : _context.Flights.TryBegin(shard.Digest);
            var isHeld = other is null && !assignment.Hedge && IsHeld(assignment.Ordinal);
            if (other is null && !isHeld)
            {
                StartFetch(assignment);
                continue;
            }

            _planner.Failed(assignment, wasReceived: false);
            _planner.SetAside(assignment.Ordinal);
            if (other is not null)
            {
                WaitForOther(assignment.Ordinal, other);
            }
            else
            {
                _context.Flights.End(shard.Digest);
                TakeHeld(assignment.Ordinal);
            }
        }
    }

    private void StartFetch(Assignment assignment)
    {
        var source = _sources.Of(assignment.Source);
        var fetch = _fetches.Take(_fetching);
        fetch.Begin(source, assignment, _request.Manifest.Shards[assignment.Ordinal]);
        _fetches.Add(fetch);
        source.Hedges += assignment.Hedge ? 1 : 0;
        source.Retries += !assignment.Hedge && _failedOnce.Contains(assignment.Ordinal) ? 1 : 0;
        _loop.Run(fetch);
    }

    private void OnReceived(Fetch fetch)
    {
        fetch.IsReceived = true;
        _planner.Received(fetch.Assignment);
    }

    private void OnEnded(Fetch fetch)
    {
        var (source, end) = (fetch.Source, fetch.End);
        var isNew = _planner.IsOpen(fetch.Assignment.Ordinal);
        if (end is FetchEnd.Verified)
        {
            _planner.Done(fetch.Assignment);
            if (isNew)
            {
                _patience.Lives(Now);
                _tally.Fetched(fetch.Shard.Size);
                source.Carried(fetch.Path, fetch.Shard.Size);
            }
        }
        else
        {
            _planner.Failed(fetch.Assignment, fetch.IsReceived);
            if (end is not FetchEnd.Unserved { Outcome.Status: FetchStatus.Busy })
            {
                _failedOnce.Add(fetch.Assignment.Ordinal);
            }
        }

        Forget(fetch);
        switch (end)
        {
            case FetchEnd.Unserved unserved:
                if (unserved.Outcome.Status == FetchStatus.Busy)
                {
                    _patience.Busy(Now);
                }

                _sources.Unserved(fetch, unserved.Outcome);
                break;
            case FetchEnd.WrongBytes wrong:
                source.Failures++;
                if (wrong.IsPeers)
                {
                    _sources.Ban(source, wrong.How);
                }

                break;
            case FetchEnd.StoreFailed failed:
                _loop.Fail(failed.Why);
                break;
        }
    }

    /// <summary>Takes an ended fetch out of the books; a shard that is here ends the other fetch of it, one that nobody fetches any more is free for other pulls.</summary>
    private void Forget(Fetch fetch)
    {
        var others = _fetches.Remove(fetch);
        if (others.Count == 0)
        {
            _context.Flights.End(fetch.Shard.Digest);
        }
        else if (!_planner.IsOpen(fetch.Assignment.Ordinal))
        {
            foreach (var other in others)
            {
                other.GiveUp("another source was faster");
            }
        }

        _fetches.TakeBack(fetch);
    }

    /// <summary>At the end of the pull: nothing runs any more, so what still stands in the books is only to be given back.</summary>
    private void EndFetches()
    {
        foreach (var ordinal in _fetches.Ordinals)
        {
            _context.Flights.End(_request.Manifest.Shards[ordinal].Digest);
        }

        _fetches.Clear();
    }

    /// <summary>The shards that are on their way by a silent path go elsewhere: to another path of the same source, or else to other sources.</summary>
    private void GiveUpStalled(PullSource source, int path)
    {
        var stalled = _fetches.Of(source).Where(f => f.Stage == FetchStage.Asked && f.Path == path && f.GivenUp is null).ToList();
        if (stalled.Count == 0)
        {
            return;
        }

        source.Failures += stalled.Count;
        source.Stalls += stalled.Count;
        var seconds = _context.Options.StallTimeout.TotalSeconds;
        var why = $"no byte for {seconds:0.#} s";
        _context.Log.SourceStalled(source.Peer.Name, _context.Options.Paths[path], seconds, stalled.Count);
        var paths = _context.Peers.PathsOf(source.Peer);
        paths.Demote(path, FailureReasons.Stall, why);
        foreach (var fetch in stalled)
        {
            source.Failed(path, FailureReasons.Stall);
            fetch.GiveUp(why, stalled: true);
        }

        if (source.Planned is { } planned && !paths.HasOther(path))
        {
            _sources.PutOff(source, planned, why);
        }
    }

    private void OnBanned(PullSource source)
    {
        foreach (var fetch in _fetches.Of(source))
        {
            fetch.GiveUp("its source was banned");
        }
    }

    private void OnNeighboursChanged() => _loop.Post(() => _sources.Refresh(_swarm.Neighbours));
}
