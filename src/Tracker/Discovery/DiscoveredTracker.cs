namespace P2PWeights.Tracker.Discovery;

/// <summary>A tracker that told the network where it is.</summary>
/// <param name="Instance">Its name for people.</param>
/// <param name="Cluster">Name of its cluster.</param>
/// <param name="Address">Base address.</param>
public sealed record DiscoveredTracker(string Instance, string Cluster, Uri Address);
