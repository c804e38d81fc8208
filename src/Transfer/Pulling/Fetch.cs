using System.Runtime.CompilerServices;
using P2PWeights.Store;
using P2PWeights.Store.Content;
using P2PWeights.Store.Folders;
using P2PWeights.Transfer.Choosing;
using P2PWeights.Transfer.Pulling.Limits;

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
    ShardStore Store, CheckpointFolder? Folder, StageCounts Stages, PullTally Tally, TransferMetrics Metrics, TimeProvider Time, PullLoop Loop, Action<object> Received, Action<object> Ended);

/// <summary>
/// Carries out one assignment: a path, adoption or else room in the store and bytes from the source, verification. A path that fails is followed by the next one at
/// once. Reports its end to the pull's loop exactly once.
/// </summary>
internal sealed class Fetch(FetchContext context, PullSource source, PeerChannel channel, Assignment assignment, ShardInfo shard) : IDisposable
{
    private readonly CancellationTokenSource _cancel = CancellationTokenSource.CreateLinkedTokenSource(context.Loop.Stopping);
    private readonly TriedPaths _tried = new();
    private ShardWrite? _write;
    private int _place = -1;
    private long _received;
    private volatile int _path = -1;
    private volatile FetchStage _stage;
    private volatile bool _hasStalled;

    public PullSource Source => source;

    public Assignment Assignment => assignment;

    public ShardInfo Shard => shard;

    /// <summary>How far it is. Written by the fetch, read by the pull's loop.</summary>
    public FetchStage Stage => _stage;

    /// <summary>The path it is on, by its place among the allowed ones; -1 before there is one.</summary>
    public int Path => _path;

    /// <summary>Whether the planner was told that the bytes are here. Owned by the pull's loop.</summary>
    public bool IsReceived { get; set; }

    /// <summary>Why it was cancelled, when the pull did it. Owned by the pull's loop.</summary>
    public string? GivenUp { get; private set; }

    /// <summary>Bytes that came for it until now, by whatever path.</summary>
    public long ReceivedBytes => Interlocked.Read(ref _received);

    /// <summary>How it ended, once that was told.</summary>
    public FetchEnd? End { get; private set; }

    /// <summary>Gives the fetch up; it ends with <see cref="FetchEnd.GivenUp"/> unless it is through already.</summary>
    /// <param name="stalled">Because no byte came: its path's channel is not to be used any more.</param>
    public void GiveUp(string why, bool stalled = false)
    {
        GivenUp ??= why;
        _hasStalled |= stalled;
        _cancel.Cancel();
    }

    /// <summary>Runs to the end, which is told to the loop.</summary>
    public async Task RunAsync()
    {
        End = await BringAsync(_cancel.Token).ConfigureAwait(false);
        context.Loop.Post(context.Ended, this);
    }

    public void Dispose() => _cancel.Dispose();

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<FetchEnd> BringAsync(CancellationToken cancellationToken)
    {
        try
        {
            while (true)
            {
                Enter(FetchStage.Choosing);
                using var turn = await channel.NextAsync(_tried, source.Unreachable, cancellationToken).ConfigureAwait(false);
                if (turn is null)
                {
                    return new FetchEnd.Unserved(FetchOutcome.Failed(FailureReasons.Unreachable, $"no allowed path brought a shard ({channel.State.Problems()})"));
                }

                if (await TryAsync(turn, cancellationToken).ConfigureAwait(false) is { } end)
                {
                    return end;
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
            return new FetchEnd.GivenUp();
        }
        finally
        {
            LeaveStage();
            _write?.Dispose();
        }
    }

    /// <summary>Has the shard come by this path. Null when the path failed: the next may do.</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<FetchEnd?> TryAsync(PathTurn turn, CancellationToken cancellationToken)
    {
        _path = turn.Index;
        var begun = context.Time.GetTimestamp();
        try
        {
            var outcome = await AdoptAsync(turn, cancellationToken).ConfigureAwait(false);
            var adopted = outcome.Status == FetchStatus.Ok;
            if (outcome.Status == FetchStatus.NotAdopted)
            {
                Enter(FetchStage.Opening);
                _write ??= await context.Store.BeginWriteAsync(shard, context.Folder, cancellationToken).ConfigureAwait(false);
                outcome = await FillAsync(turn, _write, cancellationToken).ConfigureAwait(false);
            }

            switch (outcome.Status)
            {
                case FetchStatus.Ok:
                    Enter(FetchStage.Committing);
                    context.Loop.Post(context.Received, this);
                    if (!adopted)
                    {
                        await _write!.CommitAsync(cancellationToken).ConfigureAwait(false);
                    }

                    turn.Succeeded();
                    context.Metrics.Fetched(turn.Path, context.Time.GetElapsedTime(begun));
                    return new FetchEnd.Verified(turn.Index);
                case FetchStatus.PathFailed or FetchStatus.NotAdopted:
                    var reason = outcome.Reason ?? FailureReasons.Failed;
                    source.Failed(turn.Index, reason);
                    turn.Failed(reason, outcome.Detail ?? "it does not carry this shard");
                    return null;
                default:
                    source.Failed(turn.Index, WordOf(outcome.Status));
                    return new FetchEnd.Unserved(outcome);
            }
        }
        catch (StoreException e) when (e.Error == StoreError.WrongDigest)
        {
            source.Failed(turn.Index, FailureReasons.WrongBytes);
            return new FetchEnd.WrongBytes(e.Message, turn.WrongBytes(e.Message));
        }
        catch (StoreException)
        {
            source.Failed(turn.Index, FailureReasons.Store);
            throw;
        }
        catch (ObjectDisposedException)
        {
            source.Failed(turn.Index, FailureReasons.Disconnected);
            throw;
        }
        catch (OperationCanceledException) when (_hasStalled)
        {
            // The pull demoted the path; what is left is to have its channel opened anew.
            turn.Failed(FailureReasons.Stall, "no byte came in time");
            throw;
        }
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<FetchOutcome> AdoptAsync(PathTurn turn, CancellationToken cancellationToken)
    {
        // A write that is open is the store's room for this shard: it is filled, whatever path comes next.
        if (_write is not null)
        {
            return new FetchOutcome(FetchStatus.NotAdopted);
        }

        Ask();
        try
        {
            var outcome = await turn.Channel.AdoptAsync(shard, context.Folder, cancellationToken).ConfigureAwait(false);
            if (outcome.Status == FetchStatus.Ok)
            {
                OnBytes(shard.Size);
            }

            return outcome;
        }
        finally
        {
            source.Answered(_path);
        }
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<FetchOutcome> FillAsync(PathTurn turn, ShardWrite write, CancellationToken cancellationToken)
    {
        Ask();
        try
        {
            return await turn.Channel.FetchAsync(write, OnBytes, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            source.Answered(_path);
        }
    }

    private void Ask()
    {
        Enter(FetchStage.Asked);
        source.Asked(_path);
    }

    private void OnBytes(int bytes)
    {
        Interlocked.Add(ref _received, bytes);
        source.Received(_path, bytes);
        context.Tally.Received(_path, bytes);
    }

    private void Enter(FetchStage stage)
    {
        LeaveStage();
        _stage = stage;
        _place = StageCounts.IndexOf(stage, _path);
        context.Stages.Enter(_place);
    }

    private void LeaveStage()
    {
        if (_place >= 0)
        {
            context.Stages.Leave(_place);
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
    /// <summary>The shard is in the store; it came by this path.</summary>
    public sealed record Verified(int Path) : FetchEnd;

    /// <summary>The source did not give it.</summary>
    public sealed record Unserved(FetchOutcome Outcome) : FetchEnd;

    /// <summary>Something else came.</summary>
    /// <param name="IsPeers">Whether that is the peer's fault rather than the path's.</param>
    public sealed record WrongBytes(string How, bool IsPeers) : FetchEnd;

    /// <summary>The store cannot take it; another source would not help.</summary>
    public sealed record StoreFailed(StoreException Why) : FetchEnd;

    /// <summary>Cancelled by the pull.</summary>
    public sealed record GivenUp : FetchEnd;
}
