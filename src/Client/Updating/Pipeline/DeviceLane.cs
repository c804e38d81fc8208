using P2PWeights.Client.Engines;
using P2PWeights.Client.Updating.Devices;
using P2PWeights.Native;

namespace P2PWeights.Client.Updating.Pipeline;

/// <summary>One device of an update: its slots, the stream that fills them, and one stream to every other device, so that a device which stops holds up nobody else's copies.</summary>
internal sealed class DeviceLane : IDisposable
{
    private readonly IDeviceStream?[] _out;
    private string? _failure;

    /// <param name="index">Its number among the update's devices.</param>
    /// <param name="count">How many there are.</param>
    /// <param name="device">The lane's from now on.</param>
    /// <param name="staging">The lane's from now on.</param>
    /// <exception cref="NativeException">There is no room for the slots.</exception>
    public DeviceLane(int index, int count, IUpdateDevice device, StagingBlocks staging, SlotLayout slots)
    {
        (Index, Device, Staging) = (index, device, staging);
        _out = new IDeviceStream?[count];
        Memory = device.Allocate(slots.TotalBytes);
        In = device.OpenStream();
    }

    public int Index { get; }

    public IUpdateDevice Device { get; }

    /// <summary>The slots, as engines open them.</summary>
    public SlotMemory Memory { get; }

    /// <summary>Its own, so that a device which holds on to its blocks holds up no other.</summary>
    public StagingBlocks Staging { get; }

    /// <summary>Host to device.</summary>
    public IDeviceStream In { get; }

    /// <summary>Why the device has no more part in the update; null while it has. A device is judged by what copies into it do, never by others that wait for it.</summary>
    public string? Failure => Volatile.Read(ref _failure);

    /// <summary>Takes the device out of the update; the first reason stays.</summary>
    public void Fail(string reason) => Interlocked.CompareExchange(ref _failure, reason, null);

    /// <summary>To another device.</summary>
    public IDeviceStream To(DeviceLane other)
    {
        lock (_out)
        {
            return _out[other.Index] ??= Device.OpenStream();
        }
    }

    /// <summary>Waits until no copy runs any more; a device whose copies do not end is taken out.</summary>
    public async Task DrainAsync(TimeSpan deadline, TimeProvider time)
    {
        try
        {
            foreach (var stream in Failure is null ? Streams() : [])
            {
                await stream.MarkAsync().WaitAsync(deadline, time).ConfigureAwait(false);
            }
        }
        catch (Exception failure) when (failure is NativeException or TimeoutException)
        {
            Fail($"its last copies did not end well: {failure.Message}");
        }
    }

    /// <summary>Frees everything; what belongs to a device that failed is given up, because freeing would wait for it, and because it may read or write there one day.</summary>
    public void Dispose()
    {
        if (Failure is not null)
        {
            Streams().ForEach(stream => stream.Abandon());
            Device.Abandon();
            return;
        }

        Streams().ForEach(stream => stream.Dispose());
        Device.Dispose();
        Staging.Dispose();
    }

    private List<IDeviceStream> Streams()
    {
        lock (_out)
        {
            return [In, .. _out.OfType<IDeviceStream>()];
        }
    }
}
