using System.Collections.Immutable;
using P2PWeights.Client.Engines;

namespace P2PWeights.Client.Updating.Pipeline;

/// <summary>One engine during one update: wholly updated, or told that it is not. The failure of one rank ends the update of all its ranks.</summary>
internal sealed class EngineRun : IAsyncDisposable
{
    private readonly CancellationTokenSource _failed = new();
    private readonly Lock _gate = new();
    private readonly TaskCompletionSource _allOpen = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _open;
    private bool _isWhole;

    /// <param name="lanes">Per channel, the lane of its device.</param>
    public EngineRun(string name, ImmutableArray<IEngineChannel> channels, ImmutableArray<DeviceLane> lanes, EngineMeters meters)
    {
        Name = name;
        Ranks = [.. channels.Zip(lanes, (channel, lane) => new EngineRank(this, channel, lane, meters))];
    }

    public string Name { get; }

    public ImmutableArray<EngineRank> Ranks { get; }

    /// <summary>Why it is not updated; null while it may be.</summary>
    public string? Failure { get; private set; }

    /// <summary>What its own code said about that; null when it said nothing.</summary>
    public string? Traceback { get; private set; }

    /// <summary>Cancelled when it has failed.</summary>
    public CancellationToken Failed => _failed.Token;

    /// <summary>Raised once when it has failed, after <see cref="Failed"/> is cancelled.</summary>
    public event Action? HasFailed;

    /// <summary>A rank has opened the slots. Completes when all have: before that no rank is handed anything, so that an engine which cannot begin is left as it was.</summary>
    public Task OpenedAsync()
    {
        if (Interlocked.Increment(ref _open) == Ranks.Length)
        {
            _allOpen.TrySetResult();
        }

        return _allOpen.Task.WaitAsync(Failed);
    }

    /// <summary>A rank has finished, which it does only when the whole engine has reported success: what ends the update for others later changes nothing for this one.</summary>
    public void Finished()
    {
        lock (_gate)
        {
            _isWhole = true;
        }
    }

    /// <summary>Ends the update of this engine, unless it has reported success already.</summary>
    public void GiveUp(string reason) => End(reason, null, evenWhole: false);

    /// <summary>A rank has failed, which ends the update of the engine; the first reason stays.</summary>
    public void Fail(string reason, string? traceback = null) => End(reason, traceback, evenWhole: true);

    public async ValueTask DisposeAsync()
    {
        foreach (var rank in Ranks)
        {
            await rank.DisposeAsync().ConfigureAwait(false);
        }

        _failed.Dispose();
    }

    private void End(string reason, string? traceback, bool evenWhole)
    {
        lock (_gate)
        {
            if (Failure is not null || (_isWhole && !evenWhole))
            {
                return;
            }

            (Failure, Traceback) = (reason, traceback);
        }

        // In this order: whoever hears of it may say that no bucket follows, and a rank that is not stopped yet would take that for the end of a whole update.
        _failed.Cancel();
        HasFailed?.Invoke();
    }
}
