using P2PWeights.Store;
using P2PWeights.Transfer.Leasing;

namespace P2PWeights.Transfer.Serving;

/// <summary>A lease that a peer has, and what ending it gives back.</summary>
/// <param name="id">Its number on the lane.</param>
/// <param name="lease">The promise of the store behind it.</param>
/// <param name="exporter">The queues through which its bytes can be read, of which it has a share; null for any other lease.</param>
internal sealed class GrantedLease(ulong id, ShardLease lease, SharedExporter? exporter)
{
    public ulong Id => id;

    public ShardLease Lease => lease;

    public SharedExporter? Exporter => exporter;

    /// <summary>Not asked of the lease, which says nothing any more when it has ended.</summary>
    public LeaseKind Kind { get; init; } = exporter is null ? LeaseKind.File : LeaseKind.Memory;

    /// <summary>When it ends without another renewal. Changed under the lock of the <see cref="LeaseLaneTable"/>.</summary>
    public long Expires { get; set; }

    /// <summary>When it ends whatever is renewed.</summary>
    public long Limit { get; init; } = long.MaxValue;

    /// <summary>Whether it counts against the <see cref="LeaseAllowance"/>.</summary>
    public bool IsKept { get; init; }
}
