using P2PWeights.Store;
using P2PWeights.Store.Reuse;
using P2PWeights.Transfer.Leasing;

namespace P2PWeights.Transfer.Serving;

/// <summary>An exporter that several leases use; the last to let go disposes it.</summary>
internal sealed class SharedExporter(ILeaseExporter exporter) : Counted
{
    private Task _ending = Task.CompletedTask;

    /// <summary>Ends one use; when it was the last one, the exporter is disposed on return.</summary>
    public Task ReleaseAsync()
    {
        Release();
        return _ending;
    }

    /// <inheritdoc cref="ILeaseExporter.ExportAsync"/>
    public ValueTask<MemoryLocation> ExportAsync(ulong leaseId, ShardLease lease, CancellationToken cancellationToken) =>
        exporter.ExportAsync(leaseId, lease, cancellationToken);

    /// <inheritdoc cref="ILeaseExporter.WithdrawAsync"/>
    public ValueTask WithdrawAsync(ulong leaseId) => exporter.WithdrawAsync(leaseId);

    protected override void End() => _ending = exporter.DisposeAsync().AsTask();
}
