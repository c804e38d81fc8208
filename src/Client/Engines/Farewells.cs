namespace P2PWeights.Client.Engines;

/// <summary>
/// Ranks that are still to be told that their update has failed: they load a bucket, or have not connected yet. A worker that nobody tells waits for its next message without end, and its
/// engine with it, so each is told when it comes, long after the update has ended here. Ends with its owner. Thread-safe.
/// </summary>
internal sealed class Farewells : IAsyncDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private readonly CancellationToken _stopped;
    private readonly Lock _gate = new();
    private readonly HashSet<Task> _running = [];

    public Farewells() => _stopped = _stop.Token;

    /// <summary>Begins one.</summary>
    /// <param name="farewell">Its token is cancelled when the owner ends.</param>
    /// <returns>Completes with it.</returns>
    public Task Begin(Func<CancellationToken, Task> farewell)
    {
        lock (_gate)
        {
            var running = farewell(_stopped);
            if (!running.IsCompleted)
            {
                _running.Add(running);
                _ = running.ContinueWith(Forget, CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default);
            }

            return running;
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        Task[] running;
        lock (_gate)
        {
            running = [.. _running];
        }

        await Task.WhenAll(running).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _stop.Dispose();
    }

    private void Forget(Task ended)
    {
        lock (_gate)
        {
            _running.Remove(ended);
        }
    }
}
