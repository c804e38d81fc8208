namespace P2PWeights.Store.Gpu;

/// <summary>Bounds the wait for a device's copies. Nothing can end a copy but the device: after the first that was waited for in vain, none is begun any more.</summary>
/// <param name="device">As people know it.</param>
internal sealed class CopyWatch(string device, TimeProvider time)
{
    /// <summary>As long as an update waits for a GPU. A copy takes less than a millisecond, with what is before it in its queue some.</summary>
    public static readonly TimeSpan Deadline = TimeSpan.FromSeconds(30);

    private volatile bool _isStalled;

    /// <exception cref="IOException">The device has stalled.</exception>
    public void ThrowIfStalled()
    {
        if (_isStalled)
        {
            throw new IOException($"{device} stalled in a copy before, and gets no more from this node until it is started again");
        }
    }

    /// <summary>Begins a copy and waits for it.</summary>
    /// <exception cref="StalledDeviceException">The device has not ended it in time, and may still.</exception>
    /// <exception cref="IOException">It failed, or has stalled before; then nothing was begun.</exception>
    public async Task WithinAsync(Func<Task> begin)
    {
        ThrowIfStalled();
        try
        {
            await begin().WaitAsync(Deadline, time).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            _isStalled = true;
            throw new StalledDeviceException(device, Deadline);
        }
    }
}
