using P2PWeights.Tracker.Discovery;

namespace P2PWeights.Tracker;

/// <summary>Settings of a <see cref="TrackerServer"/>.</summary>
public sealed class TrackerOptions
{
    /// <summary><c>host:port</c> for HTTP; port 0 lets the system choose. Default <c>127.0.0.1:7400</c>.</summary>
    public string Listen { get; init; } = "127.0.0.1:7400";

    /// <summary>Folder of the durable catalog. Created when missing. Required.</summary>
    public required string DataDirectory { get; init; }

    /// <summary>How long a peer counts as alive without a sync. Default 10 s.</summary>
    public TimeSpan Lease { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>Neighbours handed out per swarm. Default 16.</summary>
    public int Neighbours { get; init; } = 16;

    /// <summary>Tells the networks of this machine by multicast DNS where it listens; null for not.</summary>
    public DiscoveryOptions? Advertise { get; init; }

    /// <summary>Shared secret of the cluster; null for none.</summary>
    public string? ClusterKey { get; init; }
}
