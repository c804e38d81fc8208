using System.Numerics;

namespace P2PWeights.Bench.Swarm;

/// <summary>A swarm to measure: one node publishes, all others want everything at the same time.</summary>
/// <param name="Nodes">Nodes, the publisher included.</param>
/// <param name="ShardBytes">Size of each shard.</param>
/// <param name="Shards">Shards of the checkpoint.</param>
/// <param name="Rate">Bytes per second that each node may send, and as many that it may receive.</param>
internal sealed record SwarmShape(int Nodes, int ShardBytes, int Shards, long Rate)
{
    /// <summary>Bytes of the checkpoint.</summary>
    public long Bytes => (long)ShardBytes * Shards;

    /// <summary>
    /// The least time in which all can be through: M + floor(log2 N) rounds, each as long as one shard takes at a node's rate (Mundinger, Weber and Weiss, "Optimal Scheduling of
    /// Peer-to-Peer File Dissemination", 2008).
    /// </summary>
    public double BoundSeconds => (Shards + BitOperations.Log2((uint)Nodes)) * (double)ShardBytes / Rate;
}
