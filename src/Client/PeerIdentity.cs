using System.Net;
using System.Net.NetworkInformation;
using System.Net.Sockets;
using P2PWeights.Transfer;

namespace P2PWeights.Client;

/// <summary>How a node introduces itself to the tracker and so to its peers.</summary>
internal static class PeerIdentity
{
    /// <summary>Made by the kernel at each boot, the same for every process and container of one machine (random(4)).</summary>
    private const string BootIdFile = "/proc/sys/kernel/random/boot_id";

    public static PeerInfo Describe(Guid id, NodeOptions options, IPEndPoint listening) => new(
        id,
        options.Name,
        options.Advertise is { } advertised ? [advertised] : [.. Reachable(listening).Select(endpoint => endpoint.ToString())],
        HostId(),
        options.Labels,
        options.IsPassing);

    /// <summary>A listener on all addresses is reached at those of the interfaces that are up; loopback only when there is nothing else.</summary>
    private static IEnumerable<IPEndPoint> Reachable(IPEndPoint listening)
    {
        if (!listening.Address.Equals(IPAddress.Any) && !listening.Address.Equals(IPAddress.IPv6Any))
        {
            return [listening];
        }

        var addresses = NetworkInterface.GetAllNetworkInterfaces()
            .Where(network => network.OperationalStatus == OperationalStatus.Up)
            .SelectMany(network => network.GetIPProperties().UnicastAddresses)
            .Select(unicast => unicast.Address)
            .Where(address => !IPAddress.IsLoopback(address) && !address.IsIPv6LinkLocal)
            .Where(address => listening.AddressFamily == AddressFamily.InterNetworkV6 || address.AddressFamily == AddressFamily.InterNetwork)
            .OrderBy(address => address.AddressFamily == AddressFamily.InterNetwork ? 0 : 1)
            .ToList();
        return (addresses.Count > 0 ? addresses : [IPAddress.Loopback]).Select(address => new IPEndPoint(address, listening.Port));
    }

    /// <summary>What nodes of one machine have in common.</summary>
    public static string HostId() => File.Exists(BootIdFile) ? File.ReadAllText(BootIdFile).Trim() : Environment.MachineName;
}
