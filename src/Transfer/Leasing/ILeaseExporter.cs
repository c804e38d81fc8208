using System.Net;
using P2PWeights.Store;
using P2PWeights.Transfer.Wire;

namespace P2PWeights.Transfer.Leasing;

/// <summary>
/// Makes leased memory readable for one peer over the queue pairs that are connected with it. One per lane and connection of queues; the lane calls it from several
/// threads, and disposes it last.
/// </summary>
internal interface ILeaseExporter : IAsyncDisposable
{
    /// <summary>Makes the bytes of a lease, which lies in the memory tier, readable. The lease stays the lane's, who keeps it until <see cref="WithdrawAsync"/> has returned.</summary>
    /// <exception cref="TransferException">They cannot be made readable now; the message is told to the peer, who takes another path. Nothing is exported then.</exception>
    ValueTask<MemoryLocation> ExportAsync(ulong leaseId, ShardLease lease, CancellationToken cancellationToken);

    /// <summary>
    /// Ends what was exported under a lease: when it returns, the bytes can no longer be read with the keys given out. Never fails: what cannot be withdrawn alone is
    /// withdrawn by ending the queue pairs. So does disposing, for all leases at once.
    /// </summary>
    ValueTask WithdrawAsync(ulong leaseId);
}

/// <summary>The listener's side of connecting queue pairs; the node has one when it has devices for RDMA.</summary>
internal interface IQueueListener
{
    /// <summary>Makes queue pairs for a peer and connects them to its own.</summary>
    /// <param name="caller">Where the peer calls from: what one address may have is bounded, because the name that a peer gives itself bounds nothing.</param>
    /// <returns>What to tell the peer, and the exporter over these queue pairs, which the caller disposes.</returns>
    /// <exception cref="TransferException">No pair of devices can be connected; the message is told to the peer.</exception>
    ValueTask<(QueuesConnectedMessage Answer, ILeaseExporter Exporter)> ConnectAsync(ConnectQueuesMessage theirs, IPAddress caller, CancellationToken cancellationToken);
}
