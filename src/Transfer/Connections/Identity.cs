namespace P2PWeights.Transfer.Connections;

/// <summary>What this node says of itself in a handshake.</summary>
/// <param name="Node">Node id.</param>
/// <param name="Name">Name for people.</param>
/// <param name="ClusterKey">The shared secret, or null.</param>
internal sealed record Identity(Guid Node, string Name, string? ClusterKey);
