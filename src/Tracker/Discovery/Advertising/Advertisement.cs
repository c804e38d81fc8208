using System.Net;
using System.Net.Sockets;
using P2PWeights.Tracker.Discovery.Messages;
using P2PWeights.Tracker.Discovery.Network;

namespace P2PWeights.Tracker.Discovery.Advertising;

/// <summary>What a tracker tells about itself.</summary>
/// <param name="Cluster">Name of its cluster.</param>
/// <param name="ClusterKey">Shared secret, of which proofs are made; null for none.</param>
/// <param name="Listen">Where it listens, with the port that was chosen.</param>
internal sealed record Advertisement(string Cluster, string? ClusterKey, IPEndPoint Listen)
{
    /// <summary>
    /// The addresses by which the tracker can be reached from a link: those that it listens on. Link-local IPv6 addresses count only where there is no other, loopback only when the tracker
    /// listens there and nowhere else.
    /// </summary>
    public IReadOnlyList<IPAddress> AddressesOn(Link link)
    {
        if (link.IsLoopback != IPAddress.IsLoopback(Listen.Address))
        {
            return [];
        }

        List<IPAddress> heard = [.. link.Addresses.Where(IsHeard)];
        List<IPAddress> routed = [.. heard.Where(address => !address.IsIPv6LinkLocal)];
        return [.. (routed.Count > 0 ? routed : heard).Take(TrackerText.MaxAddresses)];
    }

    /// <summary>The records for a link from which the tracker is reached at these addresses.</summary>
    public RecordSet Records(ServiceNames names, IReadOnlyList<IPAddress> addresses)
    {
        var (instance, host, port) = (names.InstanceName, names.HostName, (ushort)Listen.Port);
        return new RecordSet(
            DnsRecord.Pointer(ServiceNames.Service, instance, RecordSet.OtherTtlSeconds),
            DnsRecord.Pointer(ServiceNames.Services, ServiceNames.Service, RecordSet.OtherTtlSeconds),
            [
                DnsRecord.Service(instance, host, port, RecordSet.HostTtlSeconds),
                DnsRecord.Text(instance, TrackerText.Compose(Cluster, ClusterKey, port, addresses), RecordSet.OtherTtlSeconds),
                .. addresses.Select(address => DnsRecord.Address(host, address, RecordSet.HostTtlSeconds)),
            ]);
    }

    private bool IsHeard(IPAddress address)
    {
        if (Listen.Address.Equals(IPAddress.Any))
        {
            return address.AddressFamily == AddressFamily.InterNetwork;
        }

        // A socket of the unspecified IPv6 address takes calls over IPv4 too.
        return Listen.Address.Equals(IPAddress.IPv6Any) || address.Equals(new IPAddress(Listen.Address.GetAddressBytes()));
    }
}
