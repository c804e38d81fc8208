namespace P2PWeights.Store.Leasing;

/// <summary>What keeps a leased replica in its place. Released exactly once, by the lease.</summary>
internal interface IReplicaHold
{
    void Release(ShardLease lease);
}
