using P2PWeights.Store.Content;

namespace P2PWeights.Store.Leasing;

/// <summary>What hashing one replica showed.</summary>
/// <param name="WrongAt">Where the replica was, or its quarantined file is, when it was wrong and has been dropped; null when it is right.</param>
internal sealed record ReplicaCheck(ShardInfo Shard, string? WrongAt);
