using P2PWeights.Transfer;

namespace P2PWeights.Tracker.Swarms;

/// <summary>Where a peer stands, as far as it matters to how cheaply others reach it; null for labels that it does not have, and an empty host for one that does not say.</summary>
internal readonly record struct PeerPlace(string Host, string? Rack, string? Rail, string? Zone)
{
    public static PeerPlace Of(PeerInfo peer) =>
        new(peer.HostId, peer.Labels.GetValueOrDefault("rack"), peer.Labels.GetValueOrDefault("rail"), peer.Labels.GetValueOrDefault("zone"));

    /// <summary>3 same host, 2 same rack or rail (one switch between), 1 same zone, 0 elsewhere.</summary>
    public int NearnessTo(PeerPlace other) =>
        Host.Length > 0 && Host == other.Host ? 3
        : IsSame(Rack, other.Rack) || IsSame(Rail, other.Rail) ? 2
        : IsSame(Zone, other.Zone) ? 1
        : 0;

    private static bool IsSame(string? mine, string? theirs) => mine is not null && mine == theirs;
}
