using System.Net;
using System.Net.NetworkInformation;
using System.Net.Sockets;

namespace P2PWeights.Tracker.Discovery.Network;

/// <summary>The links of this machine.</summary>
internal static class LinkTable
{
    /// <summary>
    /// Links that are up and can multicast, and loopback (over IPv4 alone: enough for one machine). A point-to-point or tunnel interface counts when it says that it can.
    /// </summary>
    public static IReadOnlyList<Link> Current()
    {
        try
        {
            return [.. NetworkInterface.GetAllNetworkInterfaces().Where(IsUsable).SelectMany(Links).OrderBy(link => link.Id.Interface).ThenBy(link => link.Id.Family)];
        }
        catch (NetworkInformationException)
        {
            return []; // the system does not tell now; asked again soon
        }
    }

    private static bool IsUsable(NetworkInterface one) =>
        one.OperationalStatus is OperationalStatus.Up or OperationalStatus.Unknown && (one.SupportsMulticast || one.NetworkInterfaceType == NetworkInterfaceType.Loopback);

    private static IEnumerable<Link> Links(NetworkInterface one)
    {
        var properties = one.GetIPProperties();
        var isLoopback = one.NetworkInterfaceType == NetworkInterfaceType.Loopback;
        IPNetworkAddress[] networks = [.. properties.UnicastAddresses
            .Select(unicast => new IPNetworkAddress(new IPAddress(unicast.Address.GetAddressBytes()), unicast.PrefixLength))
            .OrderBy(network => network.Address.AddressFamily).ThenBy(network => network.Address.ToString(), StringComparer.Ordinal)];
        if (one.Supports(NetworkInterfaceComponent.IPv4) && Has(AddressFamily.InterNetwork))
        {
            yield return new Link(new LinkId(properties.GetIPv4Properties().Index, AddressFamily.InterNetwork), one.Name, isLoopback, [.. networks]);
        }

        if (!isLoopback && one.Supports(NetworkInterfaceComponent.IPv6) && Has(AddressFamily.InterNetworkV6))
        {
            yield return new Link(new LinkId(properties.GetIPv6Properties().Index, AddressFamily.InterNetworkV6), one.Name, isLoopback, [.. networks]);
        }

        bool Has(AddressFamily family) => networks.Any(network => network.Address.AddressFamily == family);
    }
}
