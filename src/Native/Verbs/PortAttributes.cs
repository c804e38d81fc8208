using P2PWeights.Native.Verbs.Imports;

namespace P2PWeights.Native.Verbs;

/// <summary>State of a port (<c>enum ibv_port_state</c>); it carries data when <see cref="Active"/> or <see cref="ActiveDefer"/>.</summary>
public enum PortState
{
    NoChange = 0,
    Down = 1,
    Initialising = 2,
    Armed = 3,
    Active = 4,

    /// <summary>Active, with the physical link in recovery.</summary>
    ActiveDefer = 5,
}

/// <summary>What a port speaks.</summary>
public enum LinkLayer
{
    Unspecified = 0,
    InfiniBand = 1,
    Ethernet = 2,
}

/// <summary>Payload bytes of the largest packet (<c>enum ibv_mtu</c>, whose numbers also stand in the packets of connection set-up).</summary>
public enum PathMtu
{
    Bytes256 = 1,
    Bytes512 = 2,
    Bytes1024 = 3,
    Bytes2048 = 4,
    Bytes4096 = 5,
}

/// <summary>A port as it is now (<c>struct ibv_port_attr</c>).</summary>
/// <param name="State">Whether it carries data.</param>
/// <param name="LinkLayer">InfiniBand or Ethernet.</param>
/// <param name="ActiveMtu">The largest packets that the link takes; two peers use the smaller of theirs.</param>
/// <param name="Lid">The address within an InfiniBand subnet; 0 with Ethernet.</param>
/// <param name="MaxMessageBytes">Bytes of the largest READ.</param>
public sealed record PortAttributes(PortState State, LinkLayer LinkLayer, PathMtu ActiveMtu, ushort Lid, uint MaxMessageBytes)
{
    /// <summary>Whether the port carries data.</summary>
    public bool IsActive => State is PortState.Active or PortState.ActiveDefer;

    internal static PortAttributes From(in ibv_port_attr attributes) => new(
        (PortState)attributes.state, (LinkLayer)attributes.link_layer, (PathMtu)attributes.active_mtu, attributes.lid, attributes.max_msg_sz);
}
