using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using P2PWeights.Store;
using P2PWeights.Store.Content;
using P2PWeights.Store.Reuse;
using P2PWeights.Transfer.Choosing;
using P2PWeights.Transfer.Pulling.Limits;
using P2PWeights.Transfer.Swarms;

namespace P2PWeights.Transfer.Pulling;

/// <summary>Where a fetch is.</summary>
internal enum FetchStage
{
    /// <summary>Waiting for a path to be opened, or proved by another shard.</summary>
    Choosing,

    /// <summary>Waiting for room in the store.</summary>
    Opening,

    /// <summary>Asked of the peer.</summary>
    Asked,

    /// <summary>Received; being verified and stored.</summary>
    Committing,
}

/// <summary>What the fetches of a pull work with.</summary>
/// <param name="Loop">Told of each fetch what the two actions carry out.</param>
/// <param name="Received">When all bytes are here, before they are verified; at most once.</param>
/// <param name="Ended">When it has ended; exactly once.</param>
internal sealed record FetchContext(
    ShardStore Store, ShardTarget Target, StageCounts Stages, PullTally Tally, TransferMetrics Metrics, TimeProvider Time, PullLoop Loop, Action<object> Received, Action<object> Ended);

/// <summary>
/// Carries out one assignment: a path, adoption or else room in the store and bytes from the source, verification. A path that fails is followed by the next one at
/// once. Reports its end to the pull's loop exactly once; after that it may be used for another assignment, and it is its own work item, so that a shard allocates nothing.
/// </summary>
internal sealed class Fetch : IThreadPoolWorkItem, IDisposable
{
    private readonly FetchContext _context;
    private readonly CancellationTokenSource _cancel;
    private readonly PathTurn _turn = new();
    private readonly Action<int> _received;
    private readonly Action _end;
    private ConfiguredValueTaskAwaitable<FetchEnd>.ConfiguredValueTaskAwaiter _running;
    private PeerChannel _channel = null!;
    private ShardWrite? _write;
    private int _place = -1;
    private long _receivedBytes;
    private volatile int _path = -1;
    private volatile FetchStage _stage;
    private volatile bool _hasStalled;

    public Fetch(FetchContext context)
    {
        _context = context;
        _cancel = CancellationTokenSource.CreateLinkedTokenSource(context.Loop.Stopping);
        (_received, _end) = (OnBytes, OnEnd);
    }

    public PullSource Source { get; private set; } = null!;

    public Assignment Assignment { get; private set; }

    public ShardInfo Shard { get; private set; }

    /// <summary>How far it is. Written by the fetch, read by the pull's loop.</summary>
    public FetchStage Stage => _stage;

    /// <summary>The path it is on, by its place among the allowed ones; -1 before there is one.</summary>
    public int Path => _path;

    /// <summary>Whether the planner was told that the bytes are here. Owned by the pull's loop.</summary>
    public bool IsReceived { get; set; }

    /// <summary>Why it was cancelled, when the pull did it. Owned by the pull's loop.</summary>
    public string? GivenUp { get; private set; }

    /// <summary>Bytes that came for it until now, by whatever path.</summary>
    public long ReceivedBytes => Interlocked.Read(ref _receivedBytes);

    /// <summary>How it ended, once that was told.</summary>
    public FetchEnd? End { get; private set; }

    /// <summary>Whether another assignment may follow when it has ended: none, once it was cancelled.</summary>
    public bool IsReusable => !_cancel.IsCancellationRequested;

    /// <summary>Takes on an assignment, for <see cref="PullLoop.Run(IThreadPoolWorkItem)"/> to carry out.</summary>
    /// <param name="source">Its session is up.</param>
    public void Begin(PullSource source, Assignment assignment, ShardInfo shard)
    {
        (Source, Assignment, Shard, _channel) = (source, assignment, shard, source.Channel!);
        (IsReceived, GivenUp, End, _write) = (false, null, null, null);
        (_stage, _path, _receivedBytes, _hasStalled) = (FetchStage.Choosing, -1, 0, false);
        _turn.Reset();
    }

    /// <summary>Gives the fetch up; it ends with <see cref="FetchEnd.GivenUp"/> unless it is through already.</summary>
    /// <param name="stalled">Because no byte came: its path's channel is not to be used any more.</param>
    public void GiveUp(string why, bool stalled = false)
    {
        GivenUp ??= why;
        _hasStalled |= stalled;
        _cancel.Cancel();
    }

    public void Dispose() => _cancel.Dispose();

    [SuppressMessage("Reliability", "CA2012:Use ValueTasks correctly", Justification = "its result is taken once, by OnEnd; to await it would make a state machine per shard")]
    void IThreadPoolWorkItem.Execute()
    {
        _running = BringAsync(_cancel.Token).ConfigureAwait(false).GetAwaiter();
        if (_running.IsCompleted)
        {
            OnEnd();
        }
        else
        {
            _running.UnsafeOnCompleted(_end);
        }
    }

    /// <summary>Tells the loop, which may use this again at once.</summary>
    private void OnEnd()
    {
        var (loop, ended) = (_context.Loop, _context.Ended);
        Exception? fault = null;
        try
        {
            End = _running.GetResult();
            loop.Post(ended, this);
        }
        catch (Exception e)
        {
            fault = e;
        }

        loop.EndWork(fault);
    }

    [AsyncMethodBuilder(typeof(ReusedValueTask<>))]
    private async ValueTask<FetchEnd> BringAsync(CancellationToken cancellationToken)
    {
        try
        {
            while (true)
            {
                Enter(FetchStage.Choosing);
                if (!await _channel.NextAsync(_turn, Source.Unreachable, cancellationToken).ConfigureAwait(false))
                {
                    return new FetchEnd.Unserved(FetchOutcome.Failed(FailureReasons.Unreachable, $"no allowed path brought a shard ({_channel.State.Problems()})"));
                }

                try
                {
                    if (await TryAsync(cancellationToken).ConfigureAwait(false) is { } end)
                    {
                        return end;
                    }
                }
                finally
                {
                    _turn.End();
                }
            }
        }
        catch (StoreException e)
        {
            return new FetchEnd.StoreFailed(e);
        }
        catch (ObjectDisposedException)
        {
            return new FetchEnd.Unserved(new FetchOutcome(FetchStatus.Disconnected, Detail: "the session was closed"));
        }
        catch (OperationCanceledException)
        {
            return FetchEnd.GivenUp.Instance;
        }
        finally
        {
            LeaveStage();
            _write?.Dispose();
        }
    }

    /// <summary>Has the shard come by this path. Null when the path failed: the next may do.</summary>
    [AsyncMethodBuilder(typeof(ReusedValueTask<>))]
    private async ValueTask<FetchEnd?> TryAsync(CancellationToken cancellationToken)
    {
        _path = _turn.Index;
        var begun = _context.Time.GetTimestamp();
        try
        {
            var outcome = await AdoptAsync(cancellationToken).ConfigureAwait(false);
            var adopted = outcome.Status == FetchStatus.Ok;
            if (outcome.Status == FetchStatus.NotAdopted)
            {
                Enter(FetchStage.Opening);
                _write ??= await _context.Store.BeginWriteAsync(Shard, _context.Target, cancellationToken).ConfigureAwait(false);
                outcome = await FillAsync(_write.Value, cancellationToken).ConfigureAwait(false);
            }

            switch (outcome.Status)
            {
                case FetchStatus.Ok:
                    Enter(FetchStage.Committing);
                    _context.Loop.Post(_context.Received, this);
                    if (!adopted)
                    {
                        await _write!.Value.CommitAsync(cancellationToken).ConfigureAwait(false);
                    }

                    _turn.Succeeded();
                    _context.Metrics.Fetched(_turn.Path, _context.Time.GetElapsedTime(begun));
                    return FetchEnd.Verified.Instance;
                case FetchStatus.NotCarried:
                    return null;
                case FetchStatus.PathFailed or FetchStatus.NotAdopted:
                    var reason = outcome.Reason ?? FailureReasons.Failed;
                    Source.Failed(_turn.Index, reason);
                    _turn.Failed(reason, outcome.Detail ?? "it does not carry this shard");
                    return null;
                default:
                    Source.Failed(_turn.Index, WordOf(outcome.Status));
                    return new FetchEnd.Unserved(outcome);
            }
        }
        catch (StoreException e) when (e.Error == StoreError.WrongDigest)
        {
            Source.Failed(_turn.Index, FailureReasons.WrongBytes);
            return new FetchEnd.WrongBytes(e.Message, _turn.WrongBytes(e.Message));
        }
        catch (StoreException)
        {
            Source.Failed(_turn.Index, FailureReasons.Store);
            throw;
        }
        catch (ObjectDisposedException)
        {
            Source.Failed(_turn.Index, FailureReasons.Disconnected);
            throw;
        }
        catch (OperationCanceledException) when (_hasStalled)
        {
            // The pull demoted the path; what is left is to have its channel opened anew.
            _turn.Failed(FailureReasons.Stall, "no byte came in time");
            throw;
        }
    }

    [AsyncMethodBuilder(typeof(ReusedValueTask<>))]
    private async ValueTask<FetchOutcome> AdoptAsync(CancellationToken cancellationToken)
    {
        // A write that is open is the store's room for this shard: it is filled, whatever path comes next.
        if (_write is not null)
        {
            return new FetchOutcome(FetchStatus.NotAdopted);
        }

        Ask();
        try
        {
            var outcome = await _turn.Channel.AdoptAsync(Shard, _context.Target, _received, cancellationToken).ConfigureAwait(false);
            if (outcome.Status == FetchStatus.Ok)
            {
                OnBytes(Shard.Size);
            }

            return outcome;
        }
        finally
        {
            Source.Answered(_path);
        }
    }

    [AsyncMethodBuilder(typeof(ReusedValueTask<>))]
    private async ValueTask<FetchOutcome> FillAsync(ShardWrite write, CancellationToken cancellationToken)
    {
        Ask();
        try
        {
            return await _turn.Channel.FetchAsync(write, _received, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            while (_turn.Channel.TakeLoss() is { } reason)
            {
                Source.Failed(_path, reason);
            }

            Source.Answered(_path);
        }
    }

    private void Ask()
    {
        Enter(FetchStage.Asked);
        Source.Asked(_path);
    }

    private void OnBytes(int bytes)
    {
        Interlocked.Add(ref _receivedBytes, bytes);
        Source.Received(_path, bytes);
        _context.Tally.Received(_path, bytes);
    }

    private void Enter(FetchStage stage)
    {
        LeaveStage();
        _stage = stage;
        _place = StageCounts.IndexOf(stage, _path);
        _context.Stages.Enter(_place);
    }

    private void LeaveStage()
    {
        if (_place >= 0)
        {
            _context.Stages.Leave(_place);
            _place = -1;
        }
    }

    private static string WordOf(FetchStatus status) => status switch
    {
        FetchStatus.Busy => FailureReasons.Busy,
        FetchStatus.NotFound => FailureReasons.NotFound,
        FetchStatus.ProtocolError => FailureReasons.Protocol,
        FetchStatus.Disconnected => FailureReasons.Disconnected,
        _ => FailureReasons.Failed,
    };
}

/// <summary>How a <see cref="Fetch"/> ended.</summary>
internal abstract record FetchEnd
{
    /// <summary>The shard is in the store; it came by the path that the fetch was on last.</summary>
    public sealed record Verified : FetchEnd
    {
        public static Verified Instance { get; } = new();
    }

    /// <summary>The source did not give it.</summary>
    public sealed record Unserved(FetchOutcome Outcome) : FetchEnd;

    /// <summary>Something else came.</summary>
    /// <param name="IsPeers">Whether that is the peer's fault rather than the path's.</param>
    public sealed record WrongBytes(string How, bool IsPeers) : FetchEnd;

    /// <summary>The store cannot take it; another source would not help.</summary>
    public sealed record StoreFailed(StoreException Why) : FetchEnd;

    /// <summary>Cancelled by the pull.</summary>
    public sealed record GivenUp : FetchEnd
    {
        public static GivenUp Instance { get; } = new();
    }
}
