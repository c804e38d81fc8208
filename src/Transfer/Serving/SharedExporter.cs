using P2PWeights.Store;
using P2PWeights.Transfer.Leasing;

namespace P2PWeights.Transfer.Serving;

/// <summary>An exporter that several leases use; the last to let go disposes it.</summary>
internal sealed class SharedExporter(ILeaseExporter exporter)
{
    private int _users = 1;

    /// <summary>Adds a user; false when the last one has gone.</summary>
    public bool TryShare()
    {
        for (var users = Volatile.Read(ref _users); users > 0; users = Volatile.Read(ref _users))
        {
            if (Interlocked.CompareExchange(ref _users, users + 1, users) == users)
            {
                return true;
            }
        }

        return false;
    }

    public async ValueTask ReleaseAsync()
    {
        if (Interlocked.Decrement(ref _users) == 0)
        {
            await exporter.DisposeAsync().ConfigureAwait(false);
        }
    }

    /// <inheritdoc cref="ILeaseExporter.ExportAsync"/>
    public ValueTask<MemoryLocation> ExportAsync(ulong leaseId, ShardLease lease, CancellationToken cancellationToken) =>
        exporter.ExportAsync(leaseId, lease, cancellationToken);

    /// <inheritdoc cref="ILeaseExporter.WithdrawAsync"/>
    public ValueTask WithdrawAsync(ulong leaseId) => exporter.WithdrawAsync(leaseId);
}
