namespace P2PWeights.Client.Updating;

/// <summary>
/// Calls of a driver, which may never come back when its device is not well, or take minutes when all is: one after the other on threads of the pool, each with a deadline. Whoever is late or cancelled
/// leaves the call behind, which goes on; the next one begins when it has come back. So one thread at most hangs, and nothing is used from two sides. Thread-safe.
/// </summary>
internal sealed class DriverCalls(TimeProvider time)
{
    private readonly Lock _gate = new();
    private Task _last = Task.CompletedTask;
    private Task _late = Task.CompletedTask;

    /// <summary>Whether a call was late, and has not come back since.</summary>
    public bool IsLate
    {
        get
        {
            lock (_gate)
            {
                return !_late.IsCompleted;
            }
        }
    }

    /// <summary>Whether no call is under way, left behind or not.</summary>
    public bool IsIdle
    {
        get
        {
            lock (_gate)
            {
                return _last.IsCompleted;
            }
        }
    }

    /// <summary>Makes a call and waits for it, and for those before it.</summary>
    /// <param name="what">What the devices are to do, for people: <c>open</c>.</param>
    /// <param name="late">Gets what the call brought after all when nobody waits for it any more, before the next call begins. A call that had not begun by then is not made.</param>
    /// <exception cref="UpdateException">It has not come back in time.</exception>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    public async Task<T> RunAsync<T>(string what, Func<T> call, Action<T> late, TimeSpan deadline, CancellationToken cancellationToken)
    {
        var waiting = new Waiting();
        var run = Begin(() =>
        {
            waiting.ThrowIfLeft();
            var made = call();
            if (!waiting.TryEnd())
            {
                late(made);
            }

            return made;
        });
        try
        {
            return await run.WaitAsync(deadline, time, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception left) when (left is TimeoutException or OperationCanceledException)
        {
            if (run.IsCompleted || !waiting.TryEnd())
            {
                // It came back in this moment, or this is what it threw.
                return await run.ConfigureAwait(false);
            }

            cancellationToken.ThrowIfCancellationRequested();
            lock (_gate)
            {
                _late = run;
            }

            throw new UpdateException(
                $"the devices did not {what} within {deadline.TotalSeconds:0.#} s: their driver has not come back; look at nvidia-smi and the kernel's log. Later updates wait for it: restart the node when it is well");
        }
    }

    /// <summary>Makes a call that is to be made in any case, after those before it, and waits for it.</summary>
    /// <returns>False when it has not come back in time, and is still to be made or under way.</returns>
    public async Task<bool> EndAsync(Action call, TimeSpan deadline)
    {
        var run = Begin(() =>
        {
            call();
            return true;
        });
        await ((Task)run).WaitAsync(deadline, time).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        return run.IsCompleted && await run.ConfigureAwait(false);
    }

    /// <summary>Waits until no call is under way.</summary>
    /// <returns>False when it took longer than that.</returns>
    public async Task<bool> WaitAsync(TimeSpan deadline)
    {
        Task last;
        lock (_gate)
        {
            last = _last;
        }

        await last.WaitAsync(deadline, time).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        return last.IsCompleted;
    }

    private Task<T> Begin<T>(Func<T> call)
    {
        lock (_gate)
        {
            var run = _last.ContinueWith(_ => call(), CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default);

            // Of a call that was left behind nobody else sees how it ended.
            _ = run.ContinueWith(static ended => ended.Exception, CancellationToken.None, TaskContinuationOptions.OnlyOnFaulted, TaskScheduler.Default);
            _last = run;
            return run;
        }
    }

    /// <summary>Who ends the wait: the call that comes back, or its caller who leaves.</summary>
    private sealed class Waiting
    {
        private int _ended;

        public bool TryEnd() => Interlocked.Exchange(ref _ended, 1) == 0;

        public void ThrowIfLeft()
        {
            if (Volatile.Read(ref _ended) != 0)
            {
                throw new OperationCanceledException("nobody waits for it any more");
            }
        }
    }
}
