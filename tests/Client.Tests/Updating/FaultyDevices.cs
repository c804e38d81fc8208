using P2PWeights.Client.Engines;
using P2PWeights.Client.Updating.Devices;
using P2PWeights.Native;

namespace P2PWeights.Client.Tests.Updating;

/// <summary>How a device goes wrong.</summary>
public enum DeviceFault
{
    /// <summary>What it is given is never done, and no error comes either.</summary>
    Stall,

    /// <summary>Every call fails.</summary>
    Fail,
}

/// <summary>Where it goes wrong.</summary>
public enum FaultyCopy
{
    /// <summary>From the host into the device.</summary>
    In,

    /// <summary>From the device to others.</summary>
    Out,

    /// <summary>From others to the device.</summary>
    FromOthers,
}

/// <summary>Host devices of which one goes wrong, in one kind of copy, after some copies have gone well.</summary>
internal sealed class FaultyDevices(IUpdateDevices inner, string faulty, FaultyCopy where, DeviceFault fault, int goodCopies) : IUpdateDevices
{
    private int _left = goodCopies;

    /// <summary>Devices whose memory was given up rather than freed.</summary>
    public List<string> Abandoned { get; } = [];

    public IUpdateDevice Open(EngineDevice device) => new Device(this, inner.Open(device));

    public IDisposable Register(nint address, long length) => inner.Register(address, length);

    public ICollective OpenCollective(IReadOnlyList<IUpdateDevice> devices) => new HostCollective(devices);

    public void Dispose() => inner.Dispose();

    private DeviceFault Fault => fault;

    private bool IsHit(string device, string? target) => where switch
    {
        FaultyCopy.In => target is null && device == faulty,
        FaultyCopy.Out => target is not null && device == faulty,
        _ => target == faulty,
    };

    private sealed class Device(FaultyDevices owner, IUpdateDevice inner) : IUpdateDevice
    {
        public string Name => inner.Name;

        public long FreeBytes => inner.FreeBytes;

        public IUpdateDevice Inner => inner;

        public SlotMemory Allocate(long bytes) => inner.Allocate(bytes);

        public IDeviceStream OpenStream() => new Stream(owner, this, inner.OpenStream());

        public void Abandon()
        {
            lock (owner.Abandoned)
            {
                owner.Abandoned.Add(Name);
            }

            inner.Abandon();
        }

        public void Dispose() => inner.Dispose();
    }

    private sealed class Stream(FaultyDevices owner, Device device, IDeviceStream inner) : IDeviceStream
    {
        private volatile bool _isStalled;

        public void CopyIn(nint host, long offset, long length)
        {
            if (IsGood(null))
            {
                inner.CopyIn(host, offset, length);
            }
        }

        public void CopyTo(IUpdateDevice target, long offset, long length)
        {
            if (IsGood(target.Name))
            {
                inner.CopyTo(((Device)target).Inner, offset, length);
            }
        }

        public Task MarkAsync() => _isStalled ? new TaskCompletionSource().Task : inner.MarkAsync();

        public void Abandon() => inner.Abandon();

        public void Dispose() => inner.Dispose();

        private bool IsGood(string? target)
        {
            if (_isStalled || (owner.IsHit(device.Name, target) && Interlocked.Decrement(ref owner._left) < 0))
            {
                _isStalled = owner.Fault == DeviceFault.Stall;
                return !_isStalled ? throw new NativeException("fault", "copy", 1, "injected", device.Name) : false;
            }

            return true;
        }
    }
}
