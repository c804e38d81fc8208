using System.Collections.Immutable;

namespace P2PWeights.Transfer.Swarms;

/// <summary>How near two nodes are to each other, by what they say of themselves: the nearer, the less their bytes cost the network.</summary>
internal static class Nearness
{
    public const int Elsewhere = 0;
    public const int SameZone = 1;
    public const int SameRack = 2;
    public const int SameHost = 3;

    /// <param name="hostId">The one node's machine.</param>
    /// <param name="labels">The one node's labels.</param>
    /// <param name="other">The other node.</param>
    public static int Of(string hostId, ImmutableSortedDictionary<string, string> labels, PeerInfo other) =>
        hostId.Length > 0 && hostId == other.HostId ? SameHost
        : Share("rack", labels, other) || Share("rail", labels, other) ? SameRack
        : Share("zone", labels, other) ? SameZone
        : Elsewhere;

    private static bool Share(string label, ImmutableSortedDictionary<string, string> labels, PeerInfo other) =>
        labels.TryGetValue(label, out var own) && other.Labels.TryGetValue(label, out var its) && own == its;
}
