using System.Collections.Immutable;
using System.Net;

namespace P2PWeights.Tracker.Discovery.Network;

/// <summary>A link as it is now.</summary>
/// <param name="Name">Name of the interface, for people.</param>
/// <param name="IsLoopback">Only this machine hears it.</param>
/// <param name="Networks">Addresses of the interface, of both families, with the lengths of their networks' prefixes; ordered.</param>
internal sealed record Link(LinkId Id, string Name, bool IsLoopback, ImmutableArray<IPNetworkAddress> Networks)
{
    /// <summary>The addresses alone.</summary>
    public IEnumerable<IPAddress> Addresses => Networks.Select(network => network.Address);

    /// <summary>Whether a packet from this source may have come from the link itself and not through a router (RFC 6762 section 11).</summary>
    public bool IsOnLink(IPAddress source) =>
        IsLoopback || source.IsIPv6LinkLocal || IPNetworkAddress.IsLinkLocal(source) || Networks.Any(network => network.Contains(source));

    public bool Equals(Link? other) => other is not null && Id == other.Id && Name == other.Name && IsLoopback == other.IsLoopback && Networks.SequenceEqual(other.Networks);

    public override int GetHashCode() => HashCode.Combine(Id, Name, Networks.Length);
}
