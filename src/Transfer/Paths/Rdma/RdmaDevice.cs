using System.Collections.Concurrent;
using System.Net;
using P2PWeights.Native;
using P2PWeights.Native.Verbs;
using P2PWeights.Transfer.Wire;

namespace P2PWeights.Transfer.Paths.Rdma;

/// <summary>
/// An open device with what all connections over it share: the protection domain, the store's memory, registered once, the completion queue with its thread, and a
/// thread that watches for failures of the port and the device. A failure breaks every queue pair on it; a port that comes back makes it usable for new ones.
/// </summary>
internal sealed class RdmaDevice : IAsyncDisposable
{
    /// <summary>Completions that the queue holds: enough for hundreds of peers, 64 bytes each.</summary>
    private const int MaxCompletions = 64 << 10;

    /// <summary>The largest block of the store's memory, to which cuts of a region keep.</summary>
    private const int BlockBytes = 16 << 20;

    /// <summary>Stands for this node among those that have a share of the completion queue.</summary>
    private static readonly IPAddress Self = IPAddress.Any;

    /// <summary>Longest wait for an event; only a guard, stopping ends it.</summary>
    private static readonly TimeSpan EventWait = TimeSpan.FromSeconds(30);

    private readonly VerbsDevice _device;
    private readonly List<RegisteredRegion> _regions = [];
    private readonly ConcurrentDictionary<RdmaQueue, byte> _queues = new();
    private readonly CompletionLoop _loop;
    private readonly Thread _watcher;
    private readonly Action<RdmaDevice, string> _failed;
    private readonly FairShare<IPAddress> _room;
    private PathFailure? _failure;
    private bool _isGone;
    private volatile bool _stopped;

    private RdmaDevice(VerbsDevice device, UsablePort port, RdmaDeviceSettings settings, ProtectionDomain domain, CompletionQueue completions, Action<RdmaDevice, string> failed)
    {
        (_device, Domain, Completions, _failed) = (device, domain, completions, failed);
        var (attributes, portAttributes) = (port.Device.Attributes, port.Port.Attributes);
        Name = port.Name;
        (Port, GidIndex, Gid) = (port.Port.Number, port.Gid.Index, port.Gid.Gid);
        (Cost, TrafficClass) = (settings.Cost, settings.TrafficClass);
        Link = portAttributes.LinkLayer == LinkLayer.InfiniBand ? QueueLink.InfiniBand : QueueLink.Ethernet;
        (Lid, MtuBytes) = (portAttributes.Lid, 128 << (int)portAttributes.ActiveMtu);
        (MaxReadsOut, MaxReadsIn) = (Math.Min(attributes.MaxReadsOut, byte.MaxValue), Math.Min(attributes.MaxReadsIn, byte.MaxValue));
        (MaxDepth, MaxReadBytes, HasWindows) = (attributes.MaxQueueDepth, portAttributes.MaxMessageBytes, attributes.HasWindowsType1 && attributes.MaxWindows > 0);
        _room = new FairShare<IPAddress>(completions.Entries);
        _loop = new CompletionLoop(completions, Work, failure => Fail($"{Name} is lost: {failure.Message}", isGone: true));
        _watcher = new Thread(Watch) { IsBackground = true, Name = $"rdma events {Name}" };
        _watcher.Start();
    }

    public string Name { get; }

    public byte Port { get; }

    public int GidIndex { get; }

    public Gid Gid { get; }

    /// <summary>See <see cref="RdmaDeviceSettings.Cost"/>.</summary>
    public int Cost { get; }

    public int TrafficClass { get; }

    public QueueLink Link { get; }

    public int Lid { get; }

    public int MtuBytes { get; }

    public int MaxReadsOut { get; }

    public int MaxReadsIn { get; }

    /// <summary>Work that one queue pair may have posted.</summary>
    public int MaxDepth { get; }

    /// <summary>Bytes of the largest read.</summary>
    public long MaxReadBytes { get; }

    /// <summary>Whether leases are given by memory windows; else by a registration each.</summary>
    public bool HasWindows { get; }

    public ProtectionDomain Domain { get; }

    public CompletionQueue Completions { get; }

    public WorkTable Work { get; } = new();

    public PortAddress Address
    {
        get
        {
            var gid = new byte[Gid.Size];
            Gid.CopyTo(gid);
            return new PortAddress(Link, gid);
        }
    }

    /// <summary>Why the device cannot be used now; null when it can.</summary>
    public PathFailure? Failure => Volatile.Read(ref _failure);

    /// <summary>Looks at the port after work has failed, because work fails on a port that is down before the event of it comes.</summary>
    /// <returns>Why the device cannot be used now; null when it can.</returns>
    public PathFailure? FindFailure()
    {
        try
        {
            if (Failure is null && !_device.QueryPort(Port).IsActive)
            {
                Fail($"port {Name} went down", isGone: false);
            }
        }
        catch (NativeException failure)
        {
            Fail($"{Name} is lost: {failure.Message}");
        }

        return Failure;
    }

    /// <summary>Opens a device and registers memory with it, which takes about 0.1 s per GB.</summary>
    /// <param name="failed">Told, with the reason, when the device fails, on a thread that must not be blocked.</param>
    /// <exception cref="NativeException">It cannot be opened, or not register the memory; says which.</exception>
    /// <exception cref="TransferException">Its largest registration is smaller than a shard.</exception>
    public static RdmaDevice Open(UsablePort port, RdmaDeviceSettings settings, IReadOnlyList<Store.MemoryRegion> memory, Action<RdmaDevice, string> failed)
    {
        var opened = new Stack<IDisposable>();
        try
        {
            var native = VerbsDevice.Open(port.Device.Name);
            opened.Push(native);
            var domain = ProtectionDomain.Create(native);
            opened.Push(domain);
            var attributes = port.Device.Attributes;
            var regions = memory.SelectMany(region => Register(domain, region, attributes, opened)).ToList();
            var completions = CompletionQueue.Create(native, Math.Min(attributes.MaxCompletions, MaxCompletions));
            opened.Push(completions);
            var device = new RdmaDevice(native, port, settings, domain, completions, failed);
            device._regions.AddRange(regions);
            return device;
        }
        catch
        {
            while (opened.TryPop(out var part))
            {
                part.Dispose();
            }

            throw;
        }
    }

    public static PathMtu MtuOf(int bytes) => (PathMtu)(int.Log2(bytes) - 7);

    /// <summary>The registration that a range lies in; null when it is not in the store's memory.</summary>
    public RegisteredRegion? FindRegion(nint address, int length)
    {
        foreach (var region in _regions)
        {
            if (address >= region.Start && address + length <= region.End)
            {
                return region;
            }
        }

        return null;
    }

    /// <summary>Keeps room in the completion queue for a queue pair's work. That is what bounds queue pairs, and no address gets all of it.</summary>
    /// <param name="reader">Address of the peer that the queue pair is for; null when this node reads.</param>
    /// <exception cref="NativeException">There is none.</exception>
    public void Reserve(int depth, IPAddress? reader)
    {
        if (!_room.TryTake(reader ?? Self, depth))
        {
            var whose = reader is null ? "this node's own reads" : $"peers at {reader}";
            throw new NativeException("p2pweights", nameof(Reserve), 0, $"the completion queue has no room for another queue pair for {whose}: what is left is kept for others", Name);
        }
    }

    public void Unreserve(int depth, IPAddress? reader) => _room.Return(reader ?? Self, depth);

    public void Add(RdmaQueue queue)
    {
        _queues[queue] = 0;
        if (Failure is not null)
        {
            queue.Break();
        }
    }

    public void Remove(RdmaQueue queue) => _queues.TryRemove(queue, out _);

    /// <summary>Marks the device as failed and breaks every queue pair on it; the first reason stays.</summary>
    /// <param name="isGone">For good; else until the port is active again.</param>
    public void Fail(string reason, bool isGone = true)
    {
        Volatile.Write(ref _isGone, _isGone || isGone);
        if (Interlocked.CompareExchange(ref _failure, new PathFailure(FailureReasons.DeviceLost, reason), null) is not null)
        {
            return;
        }

        _failed(this, reason);
        foreach (var queue in _queues.Keys)
        {
            queue.Break();
        }
    }

    /// <summary>Ends the queue pairs that are left, both threads, and gives the device back.</summary>
    public async ValueTask DisposeAsync()
    {
        foreach (var queue in _queues.Keys)
        {
            await queue.DisposeAsync().ConfigureAwait(false);
        }

        _stopped = true;
        _device.Wake();
        _watcher.Join();
        _loop.Dispose();
        Completions.Dispose();
        foreach (var region in _regions)
        {
            region.Region.Dispose();
        }

        Domain.Dispose();
        _device.Dispose();
    }

    private static IEnumerable<RegisteredRegion> Register(ProtectionDomain domain, Store.MemoryRegion memory, DeviceAttributes attributes, Stack<IDisposable> opened)
    {
        var parts = RegionSplit.Plan(memory.Length, attributes.MaxRegionBytes, BlockBytes);
        if (parts.Count == 0)
        {
            throw new TransferException(TransferError.PathRefused, $"{domain.Device.Name} registers at most {attributes.MaxRegionBytes} bytes at once, less than a shard may have");
        }

        // Without the right to be read by peers: that comes by a window, or a registration, per lease.
        const MemoryAccess WithWindows = MemoryAccess.LocalWrite | MemoryAccess.WindowBind;
        var access = attributes.HasWindowsType1 && attributes.MaxWindows > 0 ? WithWindows : MemoryAccess.LocalWrite;
        foreach (var (offset, length) in parts)
        {
            var region = MemoryRegion.Register(domain, memory.Address + (nint)offset, length, access);
            opened.Push(region);
            yield return new RegisteredRegion(region);
        }
    }

    private void Watch()
    {
        try
        {
            while (!_stopped)
            {
                if (_device.WaitForEvent(EventWait) is { } happened)
                {
                    Take(happened);
                }
            }
        }
        catch (NativeException failure)
        {
            Fail($"{Name} is lost: {failure.Message}");
        }
    }

    private void Take(DeviceEvent happened)
    {
        switch (happened.Kind)
        {
            case DeviceEventKind.DeviceFatal:
                Fail($"{Name} reported a fatal error");
                break;
            case DeviceEventKind.CompletionQueueError:
                Fail($"the completion queue of {Name} overflowed");
                break;
            case DeviceEventKind.PortError when happened.Port == Port:
                Fail($"port {Name} went down", isGone: false);
                break;
            case DeviceEventKind.GidChange when happened.Port == Port && !HasGid():
                Fail($"{Name} lost its address {Gid}", isGone: false);
                break;
            case DeviceEventKind.PortActive or DeviceEventKind.GidChange when happened.Port == Port && !Volatile.Read(ref _isGone) && HasGid():
                Volatile.Write(ref _failure, null);
                break;
        }
    }

    private bool HasGid() => _device.QueryGids().Any(entry => entry.Port == Port && entry.Index == GidIndex && entry.Gid == Gid);
}

/// <summary>How a device is used.</summary>
/// <param name="Cost">What a byte costs over it, compared with others: its distance to the memory, as NUMA distances are given, times how many times slower than the fastest its link is.</param>
/// <param name="TrafficClass">DSCP and ECN bits of its packets.</param>
internal sealed record RdmaDeviceSettings(int Cost, int TrafficClass);
