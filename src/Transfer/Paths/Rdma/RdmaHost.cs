using System.Net;
using Microsoft.Extensions.Logging;
using P2PWeights.Native;
using P2PWeights.Native.Posix;
using P2PWeights.Native.Verbs;
using P2PWeights.Transfer.Wire;
using StoreMemory = P2PWeights.Store.MemoryRegion;

namespace P2PWeights.Transfer.Paths.Rdma;

/// <summary>
/// The RDMA devices of this node, opened once and shared by all connections, with the store's memory registered. Opening runs in the background, because registering
/// a large arena takes a while and a node serves by other paths meanwhile. A machine without RDMA has a host without devices that says why. The store must outlive it.
/// </summary>
internal sealed class RdmaHost : IAsyncDisposable
{
    /// <summary>How long a connection waits for the devices to be opened before it says that they are not.</summary>
    private static readonly TimeSpan OpeningPatience = TimeSpan.FromSeconds(3);

    private readonly TransferOptions _options;
    private readonly IReadOnlyList<StoreMemory> _memory;
    private readonly ILogger _log;
    private readonly Task<Opened> _opening;

    private RdmaHost(TransferOptions options, IReadOnlyList<StoreMemory> memory, ILogger log)
    {
        (_options, _memory, _log) = (options, memory, log);
        _opening = Task.Run(Open);
    }

    public TransferOptions Options => _options;

    public ILogger Log => _log;

    /// <summary>Ends when every device has been opened, or could not be.</summary>
    public Task Ready => _opening;

    public static RdmaHost Start(TransferOptions options, IReadOnlyList<StoreMemory> memory, ILogger log) => new(options, memory, log);

    /// <summary>The devices that work now.</summary>
    /// <exception cref="TransferException">None does; the message says why.</exception>
    public async ValueTask<IReadOnlyList<RdmaDevice>> GetDevicesAsync(CancellationToken cancellationToken)
    {
        Opened opened;
        try
        {
            opened = await _opening.WaitAsync(OpeningPatience, cancellationToken).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            throw Unavailable("the memory is still being registered with the RDMA devices");
        }

        IReadOnlyList<RdmaDevice> usable = [.. opened.Devices.Where(device => device.Failure is null)];
        return usable.Count > 0
            ? usable
            : throw Unavailable(opened.Devices.Count > 0 ? string.Join("; ", opened.Devices.Select(device => device.Failure?.Detail)) : opened.Reason);
    }

    /// <summary>Makes the queue pairs of one connection on a device; all or none.</summary>
    /// <param name="reader">See <see cref="RdmaQueue.Create"/>.</param>
    /// <exception cref="NativeException">The device has no room for them.</exception>
    public static async ValueTask<IReadOnlyList<RdmaQueue>> MakeQueuesAsync(RdmaDevice device, int count, int depth, IPAddress? reader)
    {
        var queues = new List<RdmaQueue>(count);
        try
        {
            while (queues.Count < count)
            {
                queues.Add(RdmaQueue.Create(device, Math.Min(depth, device.MaxDepth), reader));
            }

            return queues;
        }
        catch (NativeException)
        {
            await DisposeAsync(queues).ConfigureAwait(false);
            throw;
        }
    }

    public static async ValueTask DisposeAsync(IEnumerable<RdmaQueue> queues)
    {
        foreach (var queue in queues)
        {
            await queue.DisposeAsync().ConfigureAwait(false);
        }
    }

    /// <summary>What the other side is told of a device and its queue pairs.</summary>
    public static QueueDevice Describe(int index, RdmaDevice device, IReadOnlyList<RdmaQueue> queues) => new(
        index, device.Link, device.Address.Gid, device.Lid, device.MtuBytes, device.MaxReadsOut, device.MaxReadsIn, [.. queues.Select(queue => queue.Address)]);

    public static TransferException Unavailable(string reason) => new(TransferError.PathRefused, reason);

    /// <summary>Closes the devices; the connections over them have ended.</summary>
    public async ValueTask DisposeAsync()
    {
        var opened = await _opening.ConfigureAwait(false);
        foreach (var device in opened.Devices)
        {
            await device.DisposeAsync().ConfigureAwait(false);
        }
    }

    /// <summary>Never fails: whatever is odd about this machine, it then has no device, and the reason.</summary>
    private Opened Open()
    {
        try
        {
            var inventory = DeviceInventory.Read();
            var memoryNode = _memory.Count > 0 ? MemoryNode.Of(_memory[0].Address) : null;
            var wishes = new DeviceWishes { Devices = _options.RdmaDevices, GidIndex = _options.RdmaGidIndex, MemoryNode = memoryNode };
            return Open(inventory.Unavailable, DeviceRanking.Of(inventory, wishes, NumaDistances.Read()));
        }
        catch (Exception failure)
        {
            _log.RdmaDeviceUnusable("of any kind", failure.Message);
            return new Opened([], $"looking for RDMA devices failed: {failure.Message}");
        }
    }

    private Opened Open(string? unavailable, DeviceRanking ranking)
    {
        var devices = new List<RdmaDevice>();
        var problems = ranking.Unusable.Select(port => $"{port.Name}: {port.Reason}").ToList();
        var fastest = ranking.Usable.Select(port => port.Port.Gbps).DefaultIfEmpty(0).Max();
        foreach (var port in ranking.Usable.Take(WireLimits.MaxQueueDevices))
        {
            try
            {
                var slower = port.Port.Gbps > 0 ? fastest / port.Port.Gbps : 1;
                var settings = new RdmaDeviceSettings((int)Math.Min(port.Distance * slower, 1_000_000), _options.RdmaTrafficClass);
                var device = RdmaDevice.Open(port, settings, _memory, (failed, reason) => _log.RdmaDeviceUnusable(failed.Name, reason));
                devices.Add(device);
                _log.RdmaDeviceOpen(device.Name, device.Gid.ToString(), _memory.Sum(region => region.Length), device.HasWindows ? "memory windows" : "registrations");
            }
            catch (Exception failure)
            {
                var reason = Explain(failure);
                problems.Add($"{port.Name}: {reason}");
                _log.RdmaDeviceUnusable(port.Name, reason);
            }
        }

        return new Opened(devices, unavailable ?? (problems.Count > 0 ? string.Join("; ", problems) : "no RDMA device"));
    }

    /// <summary>The commonest reason by far is one that the code of the error does not say.</summary>
    private string Explain(Exception failure) => failure is NativeException { Function: "ibv_reg_mr", Code: Errno.NoMemory }
        ? $"{failure.Message}: raise the limit on locked memory (ulimit -l, LimitMEMLOCK=infinity) above the {_memory.Sum(region => region.Length)} bytes to be registered"
        : failure.Message;

    /// <param name="Devices">Those that could be opened.</param>
    /// <param name="Reason">Why there are no others.</param>
    private sealed record Opened(IReadOnlyList<RdmaDevice> Devices, string Reason);
}
