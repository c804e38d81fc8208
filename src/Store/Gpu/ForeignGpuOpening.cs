namespace P2PWeights.Store.Gpu;

/// <summary>
/// A GPU arena of another process, opened when it is first wanted, on a thread of the pool, because a driver may wait when its device does. One that cannot be opened, or not in time, fails at once
/// for a while, because everybody who wants a shard of it asks, and is tried again then. Thread-safe.
/// </summary>
/// <param name="name">As people know it.</param>
/// <param name="open">Opens it, or throws <see cref="IOException"/>.</param>
internal sealed class ForeignGpuOpening(string name, Func<IForeignGpuArena> open, TimeProvider time)
{
    /// <summary>From one try to the next.</summary>
    public static readonly TimeSpan BackOff = TimeSpan.FromSeconds(10);

    private readonly Lock _gate = new();
    private Task<IForeignGpuArena>? _opening;
    private IOException? _failure;
    private long _failedAt;

    /// <summary>Null until it is open.</summary>
    public IForeignGpuArena? Opened
    {
        get
        {
            lock (_gate)
            {
                return _opening is { IsCompletedSuccessfully: true } opened ? opened.Result : null;
            }
        }
    }

    /// <exception cref="IOException">It cannot be opened.</exception>
    public async Task<IForeignGpuArena> OpenAsync()
    {
        var opening = Begin();
        try
        {
            return await opening.WaitAsync(CopyWatch.Deadline, time).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            throw Note(new IOException($"{name} did not open within {CopyWatch.Deadline.TotalSeconds:F0} s"));
        }
        catch (IOException failure)
        {
            throw Note(failure);
        }
    }

    /// <summary>Nobody opens it any more; it is closed, when it has opened.</summary>
    public void Close() => _opening?.ContinueWith(
        static opened => opened.Result.Dispose(), CancellationToken.None, TaskContinuationOptions.OnlyOnRanToCompletion | TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);

    private Task<IForeignGpuArena> Begin()
    {
        lock (_gate)
        {
            if (_opening is not { IsCompletedSuccessfully: true } && _failure is not null && time.GetElapsedTime(_failedAt) < BackOff)
            {
                throw new IOException(_failure.Message, _failure);
            }

            // One that does not return is not tried a second time beside itself.
            return _opening is null or { IsFaulted: true } ? _opening = Task.Run(open) : _opening;
        }
    }

    private IOException Note(IOException failure)
    {
        lock (_gate)
        {
            (_failure, _failedAt) = (failure, time.GetTimestamp());
        }

        return failure;
    }
}
