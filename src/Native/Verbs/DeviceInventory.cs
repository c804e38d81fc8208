using System.Globalization;
using P2PWeights.Native.Posix;

namespace P2PWeights.Native.Verbs;

/// <summary>A device with its ports, as they were when somebody looked.</summary>
/// <param name="Name">The kernel's name for it.</param>
/// <param name="Attributes">What it can do.</param>
/// <param name="NumaNode">The NUMA node that it is attached to; null when the machine has one only, or the device is not on a bus (soft-RoCE).</param>
/// <param name="PciPath">Its place below <c>/sys/devices</c>, such as <c>pci0000:80/0000:80:02.0/0000:81:00.0</c>; null when it is not on a PCI bus.</param>
/// <param name="Ports">Its ports, from 1.</param>
public sealed record DeviceSnapshot(string Name, DeviceAttributes Attributes, int? NumaNode, string? PciPath, IReadOnlyList<PortSnapshot> Ports);

/// <summary>A port with its addresses.</summary>
/// <param name="Number">Counted from 1.</param>
/// <param name="Attributes">Its state.</param>
/// <param name="Gbps">What the kernel says it signals at, in units of 10^9 bits per second; 0 when it does not say.</param>
/// <param name="Gids">The GIDs in use, in the order of their indexes.</param>
public sealed record PortSnapshot(byte Number, PortAttributes Attributes, double Gbps, IReadOnlyList<GidEntry> Gids);

/// <summary>A device that the kernel has and nobody can use.</summary>
/// <param name="Name">The kernel's name for it.</param>
/// <param name="Reason">Why, and what to do.</param>
public sealed record DeviceFault(string Name, string Reason);

/// <summary>Every RDMA device of this machine, or why there is none.</summary>
/// <param name="Unavailable">Why there is no RDMA at all; null when there is a device, usable or not.</param>
/// <param name="Devices">Devices that can be opened.</param>
/// <param name="Faults">Devices that cannot.</param>
public sealed record DeviceInventory(string? Unavailable, IReadOnlyList<DeviceSnapshot> Devices, IReadOnlyList<DeviceFault> Faults)
{
    private const string ClassFolder = "/sys/class/infiniband";

    /// <summary>Looks at the devices of this machine. Never throws: what is wrong is in the result.</summary>
    public static DeviceInventory Read()
    {
        if (!VerbsLibrary.IsAvailable)
            return None(VerbsLibrary.Unavailable!);

        List<DeviceSnapshot> devices = [];
        List<DeviceFault> faults = [];
        IReadOnlyList<(string Name, bool IsSupported)> found;
        try
        {
            found = VerbsDevice.List();
        }
        catch (NativeException exception)
        {
            return None(exception.Code == Errno.NotImplemented ? "no RDMA device: the kernel has no verbs (module ib_uverbs)" : exception.Message);
        }

        foreach (var (name, supported) in found)
        {
            if (!supported)
            {
                faults.Add(new(name, "iWARP or another transport without InfiniBand's reliable connections"));
                continue;
            }

            try
            {
                using var device = VerbsDevice.Open(name);
                devices.Add(Snapshot(device));
            }
            catch (NativeException exception)
            {
                faults.Add(new(name, exception.Code is Errno.AccessDenied or Errno.NotPermitted
                    ? $"{exception.Message}: give the node's user read and write access"
                    : exception.Message));
            }
        }

        // The library leaves out what it has no driver for.
        var known = found.Select(device => device.Name).ToHashSet(StringComparer.Ordinal);
        faults.AddRange(ListKernel().Where(name => !known.Contains(name)).Order(StringComparer.Ordinal).Select(name => new DeviceFault(
            name, "libibverbs has no driver for it, or its /dev/infiniband/uverbs device is missing: install ibverbs-providers, load ib_uverbs")));
        return devices.Count + faults.Count > 0
            ? new(null, devices, faults)
            : None("no RDMA device: neither hardware nor soft-RoCE (rdma link show)");
    }

    /// <summary>Looks at one open device.</summary>
    /// <exception cref="NativeException">The device is gone.</exception>
    public static DeviceSnapshot Snapshot(VerbsDevice device)
    {
        var attributes = device.QueryAttributes();
        var gids = device.QueryGids();
        var ports = Enumerable.Range(1, attributes.Ports).Select(number => new PortSnapshot(
            (byte)number,
            device.QueryPort((byte)number),
            ParseRate(ReadLine(Path.Combine(ClassFolder, device.Name, "ports", number.ToString(CultureInfo.InvariantCulture), "rate"))),
            [.. gids.Where(gid => gid.Port == number).OrderBy(gid => gid.Index)]));
        var bus = Path.Combine(ClassFolder, device.Name, "device");
        return new(device.Name, attributes, ParseNode(ReadLine(Path.Combine(bus, "numa_node"))), PciPathOf(bus), [.. ports]);
    }

    /// <summary>Reads sysfs' <c>100 Gb/sec (4X EDR)</c>; 0 for anything else.</summary>
    internal static double ParseRate(string? text) =>
        text?.Split(' ') is [var number, "Gb/sec", ..] && double.TryParse(number, NumberStyles.Float, CultureInfo.InvariantCulture, out var rate) ? rate : 0;

    /// <summary>Reads sysfs' <c>numa_node</c>, where -1 stands for none.</summary>
    internal static int? ParseNode(string? text) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var node) ? node : null;

    private static IEnumerable<string> ListKernel()
    {
        try
        {
            return Directory.Exists(ClassFolder) ? Directory.GetFileSystemEntries(ClassFolder).Select(path => Path.GetFileName(path)!) : [];
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return [];
        }
    }

    private static string? PciPathOf(string bus)
    {
        try
        {
            const string Root = "/sys/devices/";
            var target = PosixFile.RealPath(bus);
            return target.StartsWith(Root + "pci", StringComparison.Ordinal) ? target[Root.Length..] : null;
        }
        catch (NativeException)
        {
            return null;
        }
    }

    private static string? ReadLine(string path)
    {
        try
        {
            return File.ReadAllText(path).Trim();
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    private static DeviceInventory None(string reason) => new(reason, [], []);
}
