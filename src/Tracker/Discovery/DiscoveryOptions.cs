namespace P2PWeights.Tracker.Discovery;

/// <summary>Which trackers to look for, or how one is to be found.</summary>
public sealed record DiscoveryOptions
{
    /// <summary>The cluster of those who name none.</summary>
    public const string DefaultCluster = "default";

    /// <summary>Name of the cluster: several may share a network. Default <see cref="DefaultCluster"/>.</summary>
    public string Cluster { get; init; } = DefaultCluster;

    /// <summary>Name for people of a tracker that advertises itself. Default: the machine's name.</summary>
    public string Name { get; init; } = Environment.MachineName;

    /// <summary>What is wrong with the name of a cluster; null for nothing.</summary>
    public static string? ClusterProblem(string name) => TrackerText.ClusterProblem(name);
}
