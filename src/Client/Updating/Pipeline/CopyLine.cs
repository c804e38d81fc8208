using P2PWeights.Client.Updating.Devices;
using P2PWeights.Native;

namespace P2PWeights.Client.Updating.Pipeline;

/// <summary>
/// A stream of a device, with how long it has not got on. Copies are given on a thread of the pool: a driver waits when its device does, and whoever waits with it must hold up no
/// other device. Thread-safe.
/// </summary>
/// <param name="stream">The line's from now on.</param>
/// <param name="deadline">For copies to end, from when they are given.</param>
internal sealed class CopyLine(IDeviceStream stream, TimeSpan deadline, TimeProvider time) : IDisposable
{
    private readonly Lock _gate = new();
    private readonly SemaphoreSlim _giving = new(1);
    private int _running;
    private long _since;

    /// <summary>For whoever gives copies one after the other.</summary>
    public SemaphoreSlim Turn { get; } = new(1);

    /// <summary>The copies that were given last, to their very end, however late; fails when they did.</summary>
    public Task Last { get; private set; } = Task.CompletedTask;

    /// <summary>Whether copies run that have not ended.</summary>
    public bool IsBusy
    {
        get
        {
            lock (_gate)
            {
                return _running > 0;
            }
        }
    }

    /// <summary>For how long copies have been running without one that ended; zero when none run.</summary>
    public TimeSpan Quiet
    {
        get
        {
            lock (_gate)
            {
                return _running > 0 ? time.GetElapsedTime(_since) : TimeSpan.Zero;
            }
        }
    }

    /// <summary>
    /// Gives copies, and completes when they are done. Not to be cancelled: whoever frees the memory of a copy must know its end first.
    /// </summary>
    /// <param name="give">Gives them to the stream.</param>
    /// <exception cref="NativeException">The device failed.</exception>
    /// <exception cref="TimeoutException">They did not end in time, and may end one day.</exception>
    public Task CopyAsync(Action<IDeviceStream> give) => (Last = RunAsync(give)).WaitAsync(deadline, time);

    /// <summary>Gives the stream up without waiting for what it has to do.</summary>
    public void Abandon() => stream.Abandon();

    public void Dispose()
    {
        stream.Dispose();
        _giving.Dispose();
        Turn.Dispose();
    }

    private async Task RunAsync(Action<IDeviceStream> give)
    {
        Begin();
        try
        {
            await (await GiveAsync(give).ConfigureAwait(false)).Done.ConfigureAwait(false);
        }
        finally
        {
            End();
        }
    }

    private async Task<Given> GiveAsync(Action<IDeviceStream> give)
    {
        // In turn, so that no more than one thread waits with the device.
        await _giving.WaitAsync().ConfigureAwait(false);
        try
        {
            return await Task.Run(() =>
            {
                give(stream);
                return new Given(stream.MarkAsync());
            }).ConfigureAwait(false);
        }
        finally
        {
            _giving.Release();
        }
    }

    private void Begin()
    {
        lock (_gate)
        {
            if (_running++ == 0)
            {
                _since = time.GetTimestamp();
            }
        }
    }

    private void End()
    {
        lock (_gate)
        {
            _running--;
            _since = time.GetTimestamp();
        }
    }

    /// <summary>Copies that a stream has.</summary>
    /// <param name="Done">As <see cref="IDeviceStream.MarkAsync"/>.</param>
    private readonly record struct Given(Task Done);
}
