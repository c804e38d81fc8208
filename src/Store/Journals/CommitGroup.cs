namespace P2PWeights.Store.Journals;

/// <summary>
/// Joins commits of a log: what is asked for while one runs is done, for all who asked, by one more. Thread-safe.
/// </summary>
/// <param name="commit">Makes durable everything that was appended before it was called.</param>
internal sealed class CommitGroup(Func<CancellationToken, ValueTask> commit)
{
    private readonly Lock _gate = new();
    private Task _running = Task.CompletedTask;
    private Task? _next;

    /// <summary>Ends when everything appended so far is durable. A cancellation ends the wait, not the commit, which others may wait for.</summary>
    /// <exception cref="StoreException">The commit failed.</exception>
    public Task CommitAsync(CancellationToken cancellationToken)
    {
        Task mine;
        lock (_gate)
        {
            mine = _next ?? (_running.IsCompleted ? _running = RunAsync() : _next = RunNextAsync(_running));
        }

        return mine.WaitAsync(cancellationToken);
    }

    private async Task RunNextAsync(Task before)
    {
        FaultPoints.Reach(FaultPoint.CommitFoundRunning);

        // Never at once, even if that one ends just now: the caller still has to note this task as the next.
        await before.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing | ConfigureAwaitOptions.ForceYielding);
        FaultPoints.Reach(FaultPoint.NextCommitBegins);
        Task mine;
        lock (_gate)
        {
            (_running, _next) = (mine = RunAsync(), null);
        }

        await mine.ConfigureAwait(false);
    }

    /// <summary>Off the caller's thread, which holds the gate.</summary>
    private Task RunAsync() => Task.Run(() => commit(CancellationToken.None).AsTask());
}
