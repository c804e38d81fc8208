using P2PWeights.Client;
using P2PWeights.Tracker;
using P2PWeights.Tracker.Discovery;

namespace P2PWeights.Cli.Targets;

/// <summary>Whom a command talks to: a running node through its socket, or the trackers themselves.</summary>
/// <param name="Socket">Socket of the node; null when the command goes to the trackers.</param>
/// <param name="Trackers">Trackers; empty when the command goes to a node.</param>
/// <param name="ClusterKey">Shared secret, needed towards trackers that have one.</param>
/// <param name="Discover">How the trackers were found, when nobody named them.</param>
internal sealed record Target(string? Socket, IReadOnlyList<Uri> Trackers, string? ClusterKey, DiscoveryOptions? Discover = null)
{
    /// <summary>The running node.</summary>
    public NodeClient OpenNode() => new(Socket ?? throw new InvalidOperationException("the target is a tracker"));

    /// <summary>The trackers.</summary>
    public TrackerClient OpenTracker() => new(Trackers, ClusterKey, TimeProvider.System);

    /// <summary>The catalog, through the node or straight from the trackers.</summary>
    public ICatalog OpenCatalog() => Socket is null ? new TrackerCatalog(OpenTracker()) : new NodeCatalog(OpenNode());
}
