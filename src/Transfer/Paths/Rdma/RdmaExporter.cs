using System.Collections.Concurrent;
using P2PWeights.Store;
using P2PWeights.Transfer.Leasing;

namespace P2PWeights.Transfer.Paths.Rdma;

/// <summary>
/// Listener's side of the queue pairs connected with one peer: gives it the right to read leased shards and takes it back. Owns the queue pairs; when it is disposed
/// they are gone, and with them every way to read.
/// </summary>
/// <param name="links">The connected pairs of devices.</param>
internal sealed class RdmaExporter(IReadOnlyList<RdmaExporter.Link> links) : ILeaseExporter
{
    private readonly ConcurrentDictionary<ulong, IReadOnlyList<IReadRight>> _exported = new();

    public async ValueTask<MemoryLocation> ExportAsync(ulong leaseId, ShardLease lease, CancellationToken cancellationToken)
    {
        var address = AddressOf(lease);
        var keys = new List<RemoteKey>(links.Count);
        var rights = new List<IReadRight>(links.Count);
        PathFailure? failure = null;
        foreach (var (link, granting) in links.Select(link => (link, link.Rights.GrantAsync(address, lease.Shard.Size).AsTask())).ToList())
        {
            var (right, refused) = await granting.ConfigureAwait(false);
            if (right is null)
            {
                failure = refused;
                continue;
            }

            rights.Add(right);
            keys.Add(new RemoteKey(link.Index, (ulong)address, right.Key));
        }

        if (keys.Count == 0)
        {
            throw new TransferException(TransferError.PathRefused, failure?.Detail ?? "no device is connected");
        }

        _exported[leaseId] = rights;
        return new MemoryLocation(keys);
    }

    public async ValueTask WithdrawAsync(ulong leaseId)
    {
        if (_exported.TryRemove(leaseId, out var rights))
        {
            await Task.WhenAll(rights.Select(right => right.EndAsync().AsTask())).ConfigureAwait(false);
        }
    }

    public async ValueTask DisposeAsync()
    {
        // The queue pairs first: whatever is in the way of taking a right back, nobody reads over a queue pair that is gone.
        foreach (var queue in links.SelectMany(link => link.Queues))
        {
            await queue.DisposeAsync().ConfigureAwait(false);
        }

        foreach (var lease in _exported.Keys)
        {
            await WithdrawAsync(lease).ConfigureAwait(false);
        }

        foreach (var link in links)
        {
            link.Rights.Dispose();
        }
    }

    private static unsafe nint AddressOf(ShardLease lease)
    {
        using var pin = lease.Memory.Pin();
        return (nint)pin.Pointer;
    }

    /// <summary>A device of this node with its queue pairs to the peer.</summary>
    /// <param name="Index">The caller's number for the pair of devices.</param>
    internal sealed record Link(int Index, RdmaDevice Device, IReadOnlyList<RdmaQueue> Queues)
    {
        public ReadRights Rights { get; } = new(Device, Queues);
    }
}
