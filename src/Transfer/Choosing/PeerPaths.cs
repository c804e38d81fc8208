using Microsoft.Extensions.Logging;

namespace P2PWeights.Transfer.Choosing;

/// <summary>
/// The paths to one peer over the life of the node: which are demoted and until when, and what each carried. Sessions come and go, this stays, so that a path
/// which failed a moment ago is not tried again by the next pull. Thread-safe.
/// </summary>
internal sealed class PeerPaths
{
    private readonly string _peer;
    private readonly IReadOnlyList<string> _names;
    private readonly PathRanking _ranking;
    private readonly PathMeter[] _meters;
    private readonly TransferMetrics _metrics;
    private readonly TimeProvider _time;
    private readonly ILogger _log;
    private readonly long _started;
    private readonly Lock _gate = new();
    private TaskCompletionSource _changed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _rdmaMissed;

    /// <param name="peer">Its name, for the log.</param>
    /// <param name="names">The allowed paths, best first.</param>
    public PeerPaths(string peer, IReadOnlyList<string> names, TimeSpan patience, TransferMetrics metrics, TimeProvider time, ILogger log)
    {
        (_peer, _names, _metrics, _time, _log) = (peer, names, metrics, time, log);
        _started = time.GetTimestamp();
        _ranking = new PathRanking(names, patience, new Random());
        _meters = [.. names.Select(_ => new PathMeter(time))];
    }

    private TimeSpan Now => _time.GetElapsedTime(_started);

    /// <summary>What a path carried from this peer.</summary>
    public PathMeter Meter(int path) => _meters[path];

    /// <summary>The path for the next shard; waits while another shard proves the best one.</summary>
    public async ValueTask<PathChoice> ChooseAsync(uint tried, CancellationToken cancellationToken)
    {
        while (true)
        {
            PathChoice choice;
            Task changed;
            TimeSpan left;
            lock (_gate)
            {
                var now = Now;
                choice = _ranking.Choose(tried, now);
                left = choice.Until - now;
                changed = _changed.Task;
            }

            if (choice.Kind != ChoiceKind.Wait)
            {
                return choice;
            }

            using var ended = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            await Task.WhenAny(changed, Task.Delay(left, _time, ended.Token)).ConfigureAwait(false);
            await ended.CancelAsync().ConfigureAwait(false);
            cancellationToken.ThrowIfCancellationRequested();
        }
    }

    /// <inheritdoc cref="PathRanking.Succeeded"/>
    public void Succeeded(PathChoice choice)
    {
        bool proved;
        lock (_gate)
        {
            proved = _ranking.Succeeded(choice, Now);
            if (proved)
            {
                Wake();
            }
        }

        if (proved)
        {
            _log.PathProven(_names[choice.Path], _peer);
        }
    }

    /// <inheritdoc cref="PathRanking.Ended"/>
    public void Ended(PathChoice choice)
    {
        if (choice.IsProof)
        {
            lock (_gate)
            {
                _ranking.Ended(choice);
                Wake();
            }
        }
    }

    /// <summary>The path failed a shard: it is demoted, unless it was already for the same trouble.</summary>
    public void Failed(PathChoice choice, string reason, string detail)
    {
        Demotion? demotion;
        lock (_gate)
        {
            demotion = _ranking.Failed(choice, reason, detail, Now);
            Wake();
        }

        Tell(choice.Path, demotion);
    }

    /// <summary>Demotes a path, for what was seen of it from outside.</summary>
    public void Demote(int path, string reason, string detail)
    {
        Demotion demotion;
        lock (_gate)
        {
            demotion = _ranking.Demote(path, reason, detail, Now);
            Wake();
        }

        Tell(path, demotion);
    }

    /// <inheritdoc cref="PathRanking.WrongBytes"/>
    public bool WrongBytes(PathChoice choice, string detail)
    {
        Demotion? before;
        Demotion? demotion;
        bool isPeers;
        lock (_gate)
        {
            before = _ranking.DemotionOf(choice.Path);
            isPeers = _ranking.WrongBytes(choice, detail, Now);
            demotion = _ranking.DemotionOf(choice.Path);
            Wake();
        }

        Tell(choice.Path, ReferenceEquals(before, demotion) ? null : demotion);
        return isPeers;
    }

    /// <inheritdoc cref="PathRanking.HasOther"/>
    public bool HasOther(int path)
    {
        lock (_gate)
        {
            return _ranking.HasOther(path);
        }
    }

    /// <summary>Why none of the paths does, for people: <c>local: ...; tcp: ...</c>.</summary>
    public string Problems()
    {
        lock (_gate)
        {
            return string.Join("; ", _names.Select((name, path) => $"{name}: {_ranking.DemotionOf(path)?.Detail ?? "failed"}"));
        }
    }

    /// <summary>The best path that is proven, else null.</summary>
    public string? Current
    {
        get
        {
            lock (_gate)
            {
                return _names.Where((_, path) => _ranking.StateOf(path) == PathState.Proven).FirstOrDefault();
            }
        }
    }

    /// <summary>State of every allowed path, best first.</summary>
    public IReadOnlyList<PeerPathStatus> Describe()
    {
        lock (_gate)
        {
            var (now, clock) = (Now, _time.GetUtcNow());
            return [.. _names.Select((name, path) =>
            {
                var demotion = _ranking.DemotionOf(path);
                return new PeerPathStatus(
                    _meters[path].Report(name),
                    _meters[path].BytesPerSecond,
                    _ranking.StateOf(path).ToString().ToLowerInvariant(),
                    demotion?.Reason,
                    demotion?.Detail,
                    demotion is null ? null : clock + TimeSpan.FromTicks(Math.Max(0, (demotion.Until - now).Ticks)));
            })];
        }
    }

    private void Tell(int path, Demotion? demotion)
    {
        if (demotion is null)
        {
            return;
        }

        _metrics.Demoted(_names[path], demotion.Reason);
        var pause = (demotion.Until - Now).TotalSeconds;

        // That a peer is not within reach of a path is how things are; by RDMA it is worth one line, because a cluster that has it means to use it. That a path fails which did reach it, somebody should know.
        if (demotion.Reason == FailureReasons.Unreachable)
        {
            var isNews = _names[path] == PathNames.Rdma && Interlocked.Exchange(ref _rdmaMissed, 1) == 0;
            _log.PathUnreachable(isNews ? LogLevel.Information : LogLevel.Debug, _names[path], _peer, demotion.Detail, pause);
        }
        else
        {
            _log.PathDemoted(_names[path], _peer, demotion.Reason, demotion.Detail, pause);
        }
    }

    /// <summary>Has everybody who waits look again. Under the lock.</summary>
    private void Wake()
    {
        _changed.TrySetResult();
        _changed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}
