using P2PWeights.Client.Engines;
using P2PWeights.Client.Updating.Devices;
using P2PWeights.Native;

namespace P2PWeights.Client.Updating.Pipeline;

/// <summary>One device of an update: its slots, the stream that fills them, and one stream to every other device, so that a device which stops holds up nobody else's copies.</summary>
internal sealed class DeviceLane : IDisposable
{
    private readonly CopyLine?[] _out;
    private readonly Func<CopyLine> _open;
    private string? _failure;

    /// <param name="index">Its number among the update's devices.</param>
    /// <param name="count">How many there are.</param>
    /// <param name="device">The lane's from now on.</param>
    /// <param name="staging">The lane's from now on.</param>
    /// <param name="deadline">For copies to end.</param>
    /// <exception cref="NativeException">There is no room for the slots.</exception>
    public DeviceLane(int index, int count, IUpdateDevice device, StagingBlocks staging, SlotLayout slots, TimeSpan deadline, TimeProvider time)
    {
        (Index, Device, Staging) = (index, device, staging);
        _out = new CopyLine?[count];
        _open = () => new CopyLine(device.OpenStream(), deadline, time);
        Memory = device.Allocate(slots.TotalBytes);
        In = _open();
    }

    public int Index { get; }

    public IUpdateDevice Device { get; }

    /// <summary>The slots, as engines open them.</summary>
    public SlotMemory Memory { get; }

    /// <summary>Its own, so that a device which holds on to its blocks holds up no other.</summary>
    public StagingBlocks Staging { get; }

    /// <summary>Host to device.</summary>
    public CopyLine In { get; }

    /// <summary>Why the device has no more part in the update; null while it has. A device is judged by what its copies do, never by others that wait for it.</summary>
    public string? Failure => Volatile.Read(ref _failure);

    /// <summary>Takes the device out of the update; the first reason stays.</summary>
    public void Fail(string reason)
    {
        Interlocked.CompareExchange(ref _failure, reason, null);
        Staging.Close();
    }

    /// <summary>To another device.</summary>
    public CopyLine To(DeviceLane other)
    {
        lock (_out)
        {
            return _out[other.Index] ??= _open();
        }
    }

    /// <summary>For how long copies to another device have not got on; to itself: those from the host.</summary>
    public TimeSpan QuietTo(DeviceLane other)
    {
        lock (_out)
        {
            return other == this ? In.Quiet : _out[other.Index]?.Quiet ?? TimeSpan.Zero;
        }
    }

    /// <summary>
    /// Takes the device out when copies from it or to it have not ended: its memory may still be read or written. To be called when nobody waits for a copy any more, so that those that
    /// run are past their deadlines.
    /// </summary>
    public void Settle(IEnumerable<DeviceLane> all)
    {
        if (Lines().Exists(line => line.IsBusy) || all.Any(other => other.QuietTo(this) > TimeSpan.Zero))
        {
            Fail("copies from it or to it did not end");
        }
    }

    /// <summary>Frees everything; what belongs to a device that failed is given up, because freeing would wait for it, and because it may read or write there one day.</summary>
    public void Dispose()
    {
        if (Failure is not null)
        {
            Lines().ForEach(line => line.Abandon());
            GivenUpMemory.Keep(Staging, Staging.Bytes + Device.Abandon());
            return;
        }

        Lines().ForEach(line => line.Dispose());
        Device.Dispose();
        Staging.Dispose();
    }

    private List<CopyLine> Lines()
    {
        lock (_out)
        {
            return [In, .. _out.OfType<CopyLine>()];
        }
    }
}
