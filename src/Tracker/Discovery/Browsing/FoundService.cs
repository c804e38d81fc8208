using System.Net;

namespace P2PWeights.Tracker.Discovery.Browsing;

/// <summary>An instance of the service of trackers, resolved on one link.</summary>
/// <param name="Instance">Its name for people; hostile text is possible.</param>
/// <param name="Pairs">Its TXT record.</param>
/// <param name="Addresses">At least one; link-local IPv6 addresses with the scope of the link.</param>
internal sealed record FoundService(string Instance, ushort Port, IReadOnlyDictionary<string, string> Pairs, IReadOnlyList<IPAddress> Addresses);
