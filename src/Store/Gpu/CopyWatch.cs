using P2PWeights.Native.Cuda;

namespace P2PWeights.Store.Gpu;

/// <summary>
/// Bounds the wait for copies, those of a device with the host or those from one device to another. Nothing can end a copy but the device: after the first that was waited for in vain,
/// none is begun any more. Thread-safe.
/// </summary>
/// <param name="name">What copies, as people know it.</param>
internal sealed class CopyWatch(string name, TimeProvider time)
{
    /// <summary>As long as an update waits for a GPU. A copy takes less than a millisecond, with what is before it in its queue some.</summary>
    public static readonly TimeSpan Deadline = TimeSpan.FromSeconds(30);

    private readonly Lock _gate = new();
    private int _running;
    private long _since;
    private volatile bool _isStalled;

    /// <summary>Whether no more copies are begun.</summary>
    public bool IsStalled => _isStalled;

    /// <summary>Whether a copy was waited for in vain, or none has ended for long while some run. What stopped at the same time as another was begun a little later, and is not over its deadline yet.</summary>
    public bool HasStopped
    {
        get
        {
            lock (_gate)
            {
                return _isStalled || (_running > 0 && time.GetElapsedTime(_since) >= Deadline / 2);
            }
        }
    }

    /// <exception cref="IOException">It has stalled.</exception>
    public void ThrowIfStalled()
    {
        if (_isStalled)
        {
            throw new IOException($"{name} stalled in a copy before, and gets no more from this node until it is started again");
        }
    }

    /// <summary>Has no more copies begun.</summary>
    public void Stall() => _isStalled = true;

    /// <summary>Begins a copy, on a thread of the pool, because a driver may wait when its device does, and waits for it.</summary>
    /// <exception cref="StalledDeviceException">It has not ended in time, and may still; or the device failed so that nobody can tell when it ends.</exception>
    /// <exception cref="IOException">It failed, or one has stalled before; then nothing was begun.</exception>
    public async Task WithinAsync(Func<Task> begin)
    {
        ThrowIfStalled();
        try
        {
            await RunAsync(begin).WaitAsync(Deadline, time).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            Stall();
            throw new StalledDeviceException(name, Deadline);
        }
        catch (LostCopiesException lost)
        {
            // Nobody can tell when they end, which is a stall known at once.
            Stall();
            throw new StalledDeviceException(name, lost);
        }
    }

    private async Task RunAsync(Func<Task> begin)
    {
        lock (_gate)
        {
            if (_running++ == 0)
            {
                _since = time.GetTimestamp();
            }
        }

        try
        {
            await Task.Run(begin).ConfigureAwait(false);
        }
        finally
        {
            lock (_gate)
            {
                _running--;
                _since = time.GetTimestamp();
            }
        }
    }
}
