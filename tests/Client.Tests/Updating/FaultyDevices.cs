using System.Collections.Concurrent;
using P2PWeights.Client.Engines;
using P2PWeights.Client.Updating.Devices;
using P2PWeights.Native;

namespace P2PWeights.Client.Tests.Updating;

/// <summary>How a device goes wrong.</summary>
public enum DeviceFault
{
    /// <summary>What it is given is never done, and no error comes either.</summary>
    Stall,

    /// <summary>As <see cref="Stall"/>, until <see cref="FaultyDevices.ReleaseAsync"/>.</summary>
    Hold,

    /// <summary>The call that gives it something does not return before the devices are disposed.</summary>
    Block,

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

    /// <summary>As <see cref="FromOthers"/>, and once one has gone wrong, from the host too.</summary>
    Into,

    /// <summary>Between the device and <c>host-0</c>, both ways.</summary>
    Link,
}

/// <summary>Host devices of which one goes wrong, in one kind of copy.</summary>
/// <param name="goodCopies">How many go well before, on each stream: which streams have got how far when several share a number is a matter of luck.</param>
internal sealed class FaultyDevices(IUpdateDevices inner, string faulty, FaultyCopy where, DeviceFault fault, int goodCopies) : IUpdateDevices
{
    private readonly ManualResetEventSlim _released = new();
    private readonly ConcurrentQueue<(Func<Task> Copy, TaskCompletionSource Mark)> _held = new();
    private int _wrong;

    /// <summary>Devices whose memory was given up rather than freed.</summary>
    public List<string> Abandoned { get; } = [];

    /// <summary>Devices that were opened and disposed.</summary>
    public (int Opened, int Closed) Counts { get; private set; }

    /// <summary>Runs when copies begin to go wrong.</summary>
    public Action? GoesWrong { get; init; }

    /// <summary>Runs before a device is opened.</summary>
    public Action? Opens { get; init; }

    public IUpdateDevice Open(EngineDevice device)
    {
        Opens?.Invoke();
        Counts = (Counts.Opened + 1, Counts.Closed);
        return new Device(this, inner.Open(device));
    }

    /// <summary>What was registered, as long as somebody has it.</summary>
    public List<WeakReference<IDisposable>> Registered { get; } = [];

    public IDisposable Register(nint address, long length)
    {
        var registration = new Registration(inner.Register(address, length));
        Registered.Add(new WeakReference<IDisposable>(registration));
        return registration;
    }

    /// <summary>An abort of the collective does not return before the devices are disposed.</summary>
    public bool BlocksAborts { get; init; }

    /// <summary>Runs before a collective is taken down.</summary>
    public Action? CollectiveEnds { get; set; }

    public ICollective OpenCollective(IReadOnlyList<IUpdateDevice> devices) => new HostCollective(
        devices,
        () =>
        {
            if (BlocksAborts)
            {
                _released.Wait();
            }
        },
        CollectiveEnds);

    /// <summary>Does what was held.</summary>
    public async Task ReleaseAsync()
    {
        while (_held.TryDequeue(out var held))
        {
            await held.Copy();
            held.Mark.TrySetResult();
        }
    }

    public void Dispose()
    {
        _released.Set();
        inner.Dispose();
    }

    private DeviceFault Fault => fault;

    private int GoodCopies => goodCopies;

    private bool IsHit(string device, string? target) => where switch
    {
        FaultyCopy.In => target is null && device == faulty,
        FaultyCopy.Out => target is not null && device == faulty,
        FaultyCopy.Link => (device == "host-0" && target == faulty) || (device == faulty && target == "host-0"),
        _ => target == faulty,
    };

    private bool HasStopped(string device, string? target) => where == FaultyCopy.Into && Volatile.Read(ref _wrong) > 0 && (target ?? device) == faulty;

    private sealed class Device(FaultyDevices owner, IUpdateDevice inner) : IUpdateDevice
    {
        private long _slots;

        public string Name => inner.Name;

        public long FreeBytes => inner.FreeBytes;

        public IUpdateDevice Inner => inner;

        public SlotMemory Allocate(long bytes)
        {
            _slots = bytes;
            return inner.Allocate(bytes);
        }

        public IDeviceStream OpenStream() => new Stream(owner, this, inner.OpenStream());

        /// <summary>Says what a GPU would: that all of it is lost.</summary>
        public long Abandon()
        {
            lock (owner.Abandoned)
            {
                owner.Abandoned.Add(Name);
            }

            inner.Abandon();
            return _slots;
        }

        public void Dispose()
        {
            owner.Counts = (owner.Counts.Opened, owner.Counts.Closed + 1);
            inner.Dispose();
        }
    }

    private sealed class Registration(IDisposable inner) : IDisposable
    {
        public void Dispose() => inner.Dispose();
    }

    private sealed class Stream(FaultyDevices owner, Device device, IDeviceStream inner) : IDeviceStream
    {
        private volatile TaskCompletionSource? _stalled;
        private int _left = owner.GoodCopies;

        public void CopyIn(nint host, long offset, long length) => Give(null, () => inner.CopyIn(host, offset, length));

        public void CopyTo(IUpdateDevice target, long offset, long length) => Give(target.Name, () => inner.CopyTo(((Device)target).Inner, offset, length));

        public Task MarkAsync() => _stalled?.Task ?? inner.MarkAsync();

        public void Abandon() => inner.Abandon();

        public void Dispose() => inner.Dispose();

        private void Give(string? target, Action copy)
        {
            if (_stalled is null && !owner.HasStopped(device.Name, target) && (!owner.IsHit(device.Name, target) || Interlocked.Decrement(ref _left) >= 0))
            {
                copy();
                return;
            }

            if (Interlocked.Increment(ref owner._wrong) == 1)
            {
                owner.GoesWrong?.Invoke();
            }

            switch (owner.Fault)
            {
                case DeviceFault.Fail:
                    throw new NativeException("fault", "copy", 1, "injected", device.Name);
                case DeviceFault.Block:
                    owner._released.Wait();
                    break;
                default:
                    _stalled ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
                    if (owner.Fault == DeviceFault.Hold)
                    {
                        owner._held.Enqueue((() =>
                        {
                            copy();
                            return inner.MarkAsync();
                        }, _stalled));
                    }

                    break;
            }
        }
    }
}
