using P2PWeights.Store;
using P2PWeights.Store.Content;
using P2PWeights.Store.Folders;

namespace P2PWeights.Transfer.Pulling;

/// <summary>Where a fetch is.</summary>
internal enum FetchStage
{
    /// <summary>Waiting for room in the store.</summary>
    Opening,

    /// <summary>Asked of the peer.</summary>
    Asked,

    /// <summary>Received; being verified and stored.</summary>
    Committing,
}

/// <summary>Carries out one assignment: room in the store, bytes from the source, verification. Reports its end to the pull's loop exactly once.</summary>
internal sealed class Fetch(PullSource source, Assignment assignment, ShardInfo shard) : IDisposable
{
    private readonly CancellationTokenSource _cancel = new();

    public PullSource Source => source;

    public Assignment Assignment => assignment;

    public ShardInfo Shard => shard;

    /// <summary>How far it is. Written by the fetch, read by the pull's loop.</summary>
    public FetchStage Stage { get; private set; }

    /// <summary>Whether the planner was told that the bytes are here. Owned by the pull's loop.</summary>
    public bool IsReceived { get; set; }

    /// <summary>Why it was cancelled, when the pull did it. Owned by the pull's loop.</summary>
    public string? GivenUp { get; private set; }

    /// <summary>Gives the fetch up; it ends with <see cref="FetchEnd.GivenUp"/> unless it is through already.</summary>
    public void GiveUp(string why)
    {
        GivenUp ??= why;
        _cancel.Cancel();
    }

    /// <param name="received">Called once when all bytes are here, before they are verified.</param>
    public async Task<FetchEnd> RunAsync(
        ShardStore store, CheckpointFolder? folder, IPathChannel channel, Action<int> bytes, Action received, CancellationToken cancellationToken)
    {
        using var either = CancellationTokenSource.CreateLinkedTokenSource(_cancel.Token, cancellationToken);
        try
        {
            using var write = await store.BeginWriteAsync(shard, folder, either.Token).ConfigureAwait(false);
            var outcome = await AskAsync(channel, write, bytes, either.Token).ConfigureAwait(false);
            if (outcome.Status != FetchStatus.Ok)
            {
                return new FetchEnd.Unserved(outcome);
            }

            Stage = FetchStage.Committing;
            received();
            await write.CommitAsync(either.Token).ConfigureAwait(false);
            return new FetchEnd.Verified();
        }
        catch (StoreException e) when (e.Error == StoreError.WrongDigest)
        {
            return new FetchEnd.WrongBytes(e.Message);
        }
        catch (StoreException e)
        {
            return new FetchEnd.StoreFailed(e);
        }
        catch (OperationCanceledException)
        {
            return new FetchEnd.GivenUp();
        }
    }

    public void Dispose() => _cancel.Dispose();

    private async ValueTask<FetchOutcome> AskAsync(IPathChannel channel, ShardWrite write, Action<int> bytes, CancellationToken cancellationToken)
    {
        Stage = FetchStage.Asked;
        source.Asked();
        try
        {
            return await channel.FetchAsync(write, bytes, cancellationToken).ConfigureAwait(false);
        }
        catch (ObjectDisposedException)
        {
            return new FetchOutcome(FetchStatus.Disconnected, Detail: "the session was closed");
        }
        finally
        {
            source.Answered();
        }
    }
}

/// <summary>How a <see cref="Fetch"/> ended.</summary>
internal abstract record FetchEnd
{
    /// <summary>The shard is in the store.</summary>
    public sealed record Verified : FetchEnd;

    /// <summary>The source did not send it.</summary>
    public sealed record Unserved(FetchOutcome Outcome) : FetchEnd;

    /// <summary>The source sent something else.</summary>
    public sealed record WrongBytes(string How) : FetchEnd;

    /// <summary>The store cannot take it; another source would not help.</summary>
    public sealed record StoreFailed(StoreException Why) : FetchEnd;

    /// <summary>Cancelled by the pull.</summary>
    public sealed record GivenUp : FetchEnd;
}
