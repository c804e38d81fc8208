using System.Globalization;
using P2PWeights.Cli.Output;
using P2PWeights.Client;
using P2PWeights.Native.Verbs;
using P2PWeights.Transfer;

namespace P2PWeights.Cli.Doctor;

/// <summary>Checks of what the <c>rdma</c> path would run on: each device and port, or why there is none. They open devices, and change nothing.</summary>
internal static class RdmaChecks
{
    private const string Check = "rdma";

    /// <summary>The devices of this machine.</summary>
    public static IReadOnlyList<Finding> All(NodeOptions node)
    {
        if (!node.Paths.Contains(PathNames.Rdma))
            return [new(Check, Outcome.Note, "off: not among the paths of the node")];
        var inventory = DeviceInventory.Read();
        var distances = NumaDistances.Read();
        var ranking = DeviceRanking.Of(inventory, new DeviceWishes { Devices = node.RdmaDevices, GidIndex = node.RdmaGidIndex }, distances);
        return [.. Devices(inventory, ranking), .. Distances(distances, ranking.Usable.Count > 0), LockedMemory(ProcessLimits.Current(), MayLockWithoutLimit(), ranking.Usable.Count > 0, node.MemoryBytes)];
    }

    /// <summary>One finding per port, best first; or the one reason for having none.</summary>
    public static IEnumerable<Finding> Devices(DeviceInventory inventory, DeviceRanking ranking) => inventory.Unavailable is { } reason
        ? [new(Check, Outcome.Note, $"none: {reason}. Other paths do not need it")]
        : ranking.Usable.Select(port => new Finding($"{Check} {port.Name}", Outcome.Ok, Describe(port)))
            .Concat(ranking.Unusable.Select(port => new Finding($"{Check} {port.Name}", port.IsUnwanted ? Outcome.Note : Outcome.Warning, $"not used: {port.Reason}")));

    /// <summary>Without distances devices are ranked by their speed alone.</summary>
    /// <param name="hasDevice">Whether there is a device to rank.</param>
    public static IEnumerable<Finding> Distances(NumaDistances distances, bool hasDevice) => distances.Problem is { } problem && hasDevice
        ? [new($"{Check} distances", Outcome.Note, $"how far devices are from the memory is not known, so all count as near: {problem}")]
        : [];

    /// <summary>Registering memory with a device pins it, which the limit on locked memory counts.</summary>
    /// <param name="isAboveLimit">Whether the process may lock more than its limit.</param>
    /// <param name="hasDevice">Whether there is a device to register with.</param>
    public static Finding LockedMemory(ProcessLimits limits, bool isAboveLimit, bool hasDevice, long memoryBytes) => limits.LockedBytes switch
    {
        null => new("locked memory", Outcome.Ok, "no limit"),
        { } locked when isAboveLimit => new("locked memory", Outcome.Ok, $"{Format.Bytes(locked)} allowed, and this user may pass the limit (CAP_IPC_LOCK)"),
        { } locked when !hasDevice => new("locked memory", Outcome.Note, $"{Format.Bytes(locked)} allowed; only RDMA needs it, and no device here can be used"),
        { } locked when locked > memoryBytes => new("locked memory", Outcome.Ok, $"{Format.Bytes(locked)} allowed, the memory tier's {Format.Bytes(memoryBytes)} fit"),
        { } locked => new(
            "locked memory",
            Outcome.Warning,
            $"{Format.Bytes(locked)} allowed, too little to register the memory tier's {Format.Bytes(memoryBytes)} for RDMA. Raise it: ulimit -l unlimited, or LimitMEMLOCK=infinity in the unit"),
    };

    private static bool MayLockWithoutLimit() => ProcessLimits.MayLockWithoutLimit(File.ReadLines("/proc/self/status"));

    private static string Describe(UsablePort port)
    {
        var (device, attributes) = (port.Device, port.Port.Attributes);
        List<string> parts =
        [
            Format.Invariant($"{Kind(port.Gid)} from {port.Gid.Gid} (GID index {port.Gid.Index})"),
            port.Port.Gbps > 0 ? Format.Invariant($"{port.Port.Gbps:0.#} Gb/s") : "speed not known",
            $"packets of {128 << (int)attributes.ActiveMtu} bytes",
            device.NumaNode is { } node ? $"NUMA node {node.ToString(CultureInfo.InvariantCulture)}" : "no NUMA node",
            device.PciPath is { } path ? $"PCI {path[(path.LastIndexOf('/') + 1)..]}" : "no PCI device",
            Windows(device.Attributes),
            $"{device.Attributes.MaxReadsOut} reads out and {device.Attributes.MaxReadsIn} in at a time",
        ];
        if (port.Port.Gids.Count > 1)
            parts.Add($"other GIDs: {string.Join(", ", port.Port.Gids.Where(gid => gid != port.Gid).Select(gid => Format.Invariant($"{gid.Index} {gid.Gid} {Kind(gid)}")))}");
        return string.Join(", ", parts);
    }

    private static string Kind(GidEntry gid) => gid.Type switch
    {
        GidType.RoceV2 => "RoCE v2",
        GidType.RoceV1 => "RoCE v1",
        _ => "InfiniBand",
    };

    private static string Windows(DeviceAttributes device) => (device.MaxWindows > 0, device.HasWindowsType1, device.HasWindowsType2) switch
    {
        (true, true, true) => "memory windows of types 1 and 2",
        (true, true, false) => "memory windows of type 1",
        (true, false, true) => "memory windows of type 2 only, so every lease registers its range",
        _ => "no memory windows, so every lease registers its range",
    };
}
