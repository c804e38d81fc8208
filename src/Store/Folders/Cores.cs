namespace P2PWeights.Store.Folders;

/// <summary>Runs a loop on all cores.</summary>
internal static class Cores
{
    /// <summary>
    /// Runs <paramref name="body"/> for 0 to <paramref name="count"/> - 1, started in ascending order, by as many workers as there are cores,
    /// each with its own <typeparamref name="TState"/> (a buffer, a hasher). After a failure nothing new is started, and the failure with the lowest
    /// index is thrown: the one that a plain loop would have met first.
    /// </summary>
    public static async Task ForAsync<TState>(
        int count, int maxWorkers, Func<TState> createState, Func<TState, int, ValueTask> body, CancellationToken cancellationToken)
        where TState : IDisposable
    {
        var next = -1;
        var failedAt = int.MaxValue;
        Exception? failure = null;
        var gate = new Lock();

        var workers = new Task[Math.Min(count, Math.Clamp(Environment.ProcessorCount, 1, maxWorkers))];
        for (var i = 0; i < workers.Length; i++)
        {
            workers[i] = Task.Run(WorkAsync, cancellationToken);
        }

        await Task.WhenAll(workers).ConfigureAwait(false);
        if (failure is not null)
        {
            System.Runtime.ExceptionServices.ExceptionDispatchInfo.Throw(failure);
        }

        async Task WorkAsync()
        {
            using var state = createState();
            while (Volatile.Read(ref failedAt) == int.MaxValue && Interlocked.Increment(ref next) is var index && index < count)
            {
                cancellationToken.ThrowIfCancellationRequested();

                // A body hashes for milliseconds without a wait, for minutes on end: what else the thread pool has to do gets its turn in between.
                await Task.Yield();
                try
                {
                    await body(state, index).ConfigureAwait(false);
                }
                catch (Exception error) when (error is not OperationCanceledException)
                {
                    lock (gate)
                    {
                        if (index < failedAt)
                        {
                            (failedAt, failure) = (index, error);
                        }
                    }
                }
            }
        }
    }
}
