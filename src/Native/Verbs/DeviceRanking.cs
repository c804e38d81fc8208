namespace P2PWeights.Native.Verbs;

/// <summary>What the user, and the place of the memory, ask of devices.</summary>
public sealed record DeviceWishes
{
    /// <summary>Only these, each a device (<c>mlx5_0</c>) or one port of it (<c>mlx5_0:2</c>). Empty: all.</summary>
    public IReadOnlyList<string> Devices { get; init; } = [];

    /// <summary>This entry of every port's GID table rather than the best; null: the best.</summary>
    public int? GidIndex { get; init; }

    /// <summary>The NUMA node that the memory is on; null when it is spread or not known.</summary>
    public int? MemoryNode { get; init; }

    /// <summary>The PCI device that holds the memory, a GPU, as <see cref="DeviceSnapshot.PciPath"/> is written; null for memory of the host.</summary>
    public string? MemoryPciPath { get; init; }
}

/// <summary>A port to use.</summary>
/// <param name="Device">The device.</param>
/// <param name="Port">Its port.</param>
/// <param name="Gid">The GID to use as source; its index is what a queue pair is connected with.</param>
/// <param name="Distance">From the memory: <see cref="NumaDistances"/>, plus <see cref="PciHops"/> when the memory is on a PCI device. Smaller is better.</param>
/// <param name="PciHops">Bridges between the device and the PCI device that holds the memory; 0 for memory of the host.</param>
public sealed record UsablePort(DeviceSnapshot Device, PortSnapshot Port, GidEntry Gid, int Distance, int PciHops)
{
    /// <summary>As users write it: <c>mlx5_0:1</c>.</summary>
    public string Name => DeviceRanking.NameOf(Device.Name, Port.Number);
}

/// <summary>A device or port that is not used.</summary>
/// <param name="Name">The device, or device and port as <c>mlx5_0:1</c>.</param>
/// <param name="Reason">Why not, and what would help.</param>
/// <param name="IsUnwanted">Whether it is not used because the wishes leave it out, and for no fault.</param>
public sealed record UnusablePort(string Name, string Reason, bool IsUnwanted = false);

/// <summary>
/// Decides which ports are used and in which order. Pure. A port needs an active link and a GID in use. Order: the faster link first, then the one nearer to the
/// memory (so equal devices are used from the memory's side of the machine), then the better kind of GID, then the order of the wishes, then the name.
/// </summary>
/// <remarks>
/// Kinds of GID, best first: RoCE v2 with an IPv4 address (routed, and what networks are set up for), RoCE v2 with a global IPv6 address, InfiniBand, RoCE v2 with
/// a link-local address, RoCE v1; the last two do not leave the layer-2 network.
/// </remarks>
/// <param name="Usable">Ports to use, best first.</param>
/// <param name="Unusable">The others, each with its reason.</param>
public sealed record DeviceRanking(IReadOnlyList<UsablePort> Usable, IReadOnlyList<UnusablePort> Unusable)
{
    /// <summary>Ranks every port of every device.</summary>
    public static DeviceRanking Of(DeviceInventory inventory, DeviceWishes wishes, NumaDistances distances)
    {
        List<UsablePort> usable = [];
        List<UnusablePort> unusable = [.. inventory.Faults.Select(fault => new UnusablePort(fault.Name, fault.Reason))];
        foreach (var device in inventory.Devices)
        {
            foreach (var port in device.Ports)
            {
                if (wishes.Devices.Count > 0 && WishOf(device.Name, port.Number, wishes) < 0)
                {
                    unusable.Add(new(NameOf(device.Name, port.Number), "not among the devices asked for", IsUnwanted: true));
                    continue;
                }

                if (Problem(device, port, wishes) is { } problem)
                {
                    unusable.Add(new(NameOf(device.Name, port.Number), problem));
                    continue;
                }

                var hops = wishes.MemoryPciPath is { } memory ? Hops(device.PciPath, memory) : 0;
                usable.Add(new(device, port, Choose(port, wishes)!, distances.Between(wishes.MemoryNode, device.NumaNode) + hops, hops));
            }
        }

        // A wish that names nothing is a mistake that must not pass in silence.
        unusable.AddRange(wishes.Devices
            .Where(wish => !inventory.Devices.Any(device => device.Ports.Any(port => Names(wish, device.Name, port.Number)))
                && !inventory.Faults.Any(fault => Names(wish, fault.Name, 1)))
            .Select(wish => new UnusablePort(wish, "no such device or port here")));
        return new(
            [.. usable
                .OrderByDescending(port => port.Port.Gbps)
                .ThenBy(port => port.Distance)
                .ThenBy(port => Kind(port.Gid))
                .ThenBy(port => WishOf(port.Device.Name, port.Port.Number, wishes))
                .ThenBy(port => port.Device.Name, StringComparer.Ordinal)
                .ThenBy(port => port.Port.Number)],
            unusable);
    }

    /// <summary>A port as users write it.</summary>
    internal static string NameOf(string device, byte port) => $"{device}:{port}";

    /// <summary>Bridges between two PCI devices: the steps from each up to the last that they have in common. Without one in common, all of both.</summary>
    internal static int Hops(string? one, string? other)
    {
        var (a, b) = (one?.Split('/') ?? [], other?.Split('/') ?? []);
        var common = a.Zip(b).TakeWhile(pair => pair.First == pair.Second).Count();
        return a.Length + b.Length - 2 * common;
    }

    private static string? Problem(DeviceSnapshot device, PortSnapshot port, DeviceWishes wishes)
    {
        if (!port.Attributes.IsActive)
            return $"the port is {port.Attributes.State}, not active: check the cable and the interface (rdma link show, ip link)";
        if (port.Attributes.LinkLayer == LinkLayer.InfiniBand && port.Attributes.Lid == 0)
            return "no LID: no subnet manager runs on the InfiniBand network";
        if (device.Attributes.MaxReadsOut < 1 || device.Attributes.MaxReadsIn < 1)
            return "the device has no RDMA READ";
        if (Choose(port, wishes) is not null)
            return null;
        return wishes.GidIndex is { } index
            ? $"GID index {index} is not in use"
            : "no GID in use: give the interface an address";
    }

    /// <summary>The GID to use; null when there is none.</summary>
    private static GidEntry? Choose(PortSnapshot port, DeviceWishes wishes)
    {
        // An index is a byte in the address of a queue pair.
        var candidates = port.Gids.Where(gid => !gid.Gid.IsEmpty && gid.Index <= byte.MaxValue);
        return wishes.GidIndex is { } index
            ? candidates.FirstOrDefault(gid => gid.Index == index)
            : candidates.OrderBy(Kind).ThenBy(gid => gid.Index).FirstOrDefault();
    }

    /// <summary>0 for the best kind.</summary>
    private static int Kind(GidEntry entry) => entry switch
    {
        { Type: GidType.RoceV2, Gid.IsIPv4Mapped: true } => 0,
        { Type: GidType.RoceV2, Gid.IsLinkLocal: false } => 1,
        { Type: GidType.InfiniBand } => 2,
        { Type: GidType.RoceV2 } => 3,
        _ => 4,
    };

    /// <summary>Which wish a port answers; -1 for none.</summary>
    private static int WishOf(string device, byte port, DeviceWishes wishes)
    {
        for (var index = 0; index < wishes.Devices.Count; index++)
        {
            if (Names(wishes.Devices[index], device, port))
                return index;
        }

        return -1;
    }

    private static bool Names(string wish, string device, byte port) => wish == device || wish == NameOf(device, port);
}
