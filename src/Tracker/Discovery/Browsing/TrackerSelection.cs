using System.Net;
using System.Net.Sockets;

namespace P2PWeights.Tracker.Discovery.Browsing;

/// <summary>Which of the services that were found are trackers to talk to, and in which order. Pure.</summary>
internal static class TrackerSelection
{
    /// <summary>
    /// The trackers of a cluster, in an order that all nodes agree on: by instance; of one instance addresses that others reach too come first. With a cluster key only those addresses
    /// count that the tracker proves: see <see cref="TrackerText"/>.
    /// </summary>
    public static (IReadOnlyList<DiscoveredTracker> Trackers, IReadOnlyList<RejectedTracker> Rejected) Of(IReadOnlyList<FoundService> services, string cluster, string? clusterKey)
    {
        List<(DiscoveredTracker Tracker, int Rank)> trackers = [];
        List<RejectedTracker> rejected = [];
        foreach (var service in services)
        {
            var name = Readable(service.Instance);
            var theirs = service.Pairs.GetValueOrDefault(TrackerText.Cluster, DiscoveryOptions.DefaultCluster);
            if (theirs != cluster)
            {
                rejected.Add(new(name, $"it belongs to the cluster '{Readable(theirs)}'"));
                continue;
            }

            foreach (var address in service.Addresses.Where(IsPossible))
            {
                if (clusterKey is not null && !TrackerText.Proves(service.Pairs.GetValueOrDefault(TrackerText.Proof), clusterKey, cluster, address, service.Port))
                {
                    rejected.Add(new(name, $"it does not prove that it has the cluster key, for {address} port {service.Port}"));
                }
                else if (TrackerText.AddressOf(service.Pairs, address, service.Port) is not { } uri)
                {
                    rejected.Add(new(name, "its scheme, port or path is none that this version knows"));
                }
                else
                {
                    trackers.Add((new(name, cluster, uri), Rank(address)));
                }
            }
        }

        return (
            [.. trackers.Distinct().OrderBy(one => one.Tracker.Instance, StringComparer.Ordinal).ThenBy(one => one.Rank).ThenBy(one => one.Tracker.Address.AbsoluteUri, StringComparer.Ordinal)
                .Select(one => one.Tracker)],
            [.. rejected.Distinct().OrderBy(one => one.Instance, StringComparer.Ordinal)]);
    }

    private static bool IsPossible(IPAddress address) => !address.Equals(IPAddress.Any) && !address.Equals(IPAddress.IPv6Any) && !address.Equals(IPAddress.Broadcast)
        && !address.IsIPv6Multicast && address.GetAddressBytes() is not [>= 224 and <= 239, _, _, _];

    private static int Rank(IPAddress address) => address switch
    {
        _ when IPAddress.IsLoopback(address) => 3,
        { IsIPv6LinkLocal: true } => 2,
        { AddressFamily: AddressFamily.InterNetworkV6 } => 1,
        _ => 0,
    };

    /// <summary>Text from the network as a terminal may show it.</summary>
    private static string Readable(string text) => string.Concat(text.Select(character => char.IsControl(character) || char.IsSurrogate(character) ? '?' : character));
}
