using P2PWeights.Transfer;

namespace P2PWeights.Tracker.Swarms;

/// <summary>All that the tracker knows of one live peer. Part of <see cref="SwarmState"/> and under its lock.</summary>
internal sealed class TrackedState(PeerInfo info)
{
    /// <summary>The peer as it described itself last.</summary>
    public PeerInfo Info { get; set; } = info;

    /// <summary>Number of the last sync that was taken.</summary>
    public long Sequence { get; set; }

    /// <summary>When that was, as a timestamp of the time provider.</summary>
    public long LastSync { get; set; }

    public long LoadBytesPerSecond { get; set; }

    /// <summary>What it holds, by global ordinal.</summary>
    public Bitmap Held { get; set; } = new();

    /// <summary>Its swarms, as far as the tracker has their manifests.</summary>
    public List<Member> Memberships { get; } = [];
}
