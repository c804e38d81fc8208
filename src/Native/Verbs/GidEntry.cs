namespace P2PWeights.Native.Verbs;

/// <summary>How packets with a GID as their source are framed (<c>enum ibv_gid_type</c>).</summary>
public enum GidType
{
    /// <summary>InfiniBand.</summary>
    InfiniBand = 0,

    /// <summary>RoCE v1: Ethernet frames, not routed.</summary>
    RoceV1 = 1,

    /// <summary>RoCE v2: UDP packets, port 4791, routed like any others.</summary>
    RoceV2 = 2,
}

/// <summary>An entry in use of a port's GID table.</summary>
/// <param name="Port">The port, counted from 1.</param>
/// <param name="Index">Where it stands in the table; a queue pair names its source by it.</param>
/// <param name="Gid">The identifier.</param>
/// <param name="Type">How packets are framed.</param>
/// <param name="InterfaceIndex">The network interface behind it, as <c>ip link</c> numbers them; 0 when there is none.</param>
public sealed record GidEntry(byte Port, int Index, Gid Gid, GidType Type, int InterfaceIndex);
