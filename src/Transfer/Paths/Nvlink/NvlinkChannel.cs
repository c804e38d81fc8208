using P2PWeights.Store;
using P2PWeights.Store.Content;
using P2PWeights.Store.Gpu;
using P2PWeights.Transfer.Leasing;

namespace P2PWeights.Transfer.Paths.Nvlink;

/// <summary>
/// Takes shards from a peer's GPUs under leases. Into the gpu tier the devices copy, and no byte passes this process; a shard whose devices cannot copy to each other is copied through
/// the host's memory. A copy that was begun is waited for, whatever was cancelled meanwhile.
/// </summary>
/// <param name="gpus">The peer's; used by this.</param>
internal sealed class NvlinkChannel(ShardStore store, LeaseSession leases, ForeignGpus gpus) : IPathChannel
{
    private readonly CancellationTokenSource _stop = new();
    private int _disposed;

    /// <summary>By what stands beside the peer's arena.</summary>
    public bool IsProved => true;

    /// <summary>What the devices were given to copy.</summary>
    public GpuCopies Copies => gpus.Copies;

    /// <inheritdoc/>
    public ValueTask<FetchOutcome> AdoptAsync(ShardInfo shard, ShardTarget target, Action<int> received, CancellationToken cancellationToken) => target.Gpu is { } gpu
        ? WithLeaseAsync(shard, (lease, token) => AdoptAsync(lease, gpu, token), received, cancellationToken)
        : ValueTask.FromResult(new FetchOutcome(FetchStatus.NotCarried, Detail: "the shard is not to go to a GPU"));

    /// <inheritdoc/>
    public ValueTask<FetchOutcome> FetchAsync(ShardWrite write, Action<int> received, CancellationToken cancellationToken) =>
        WithLeaseAsync(write.Shard, (lease, _) => ReadAsync(lease, write, received), received, cancellationToken);

    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) == 0)
        {
            await _stop.CancelAsync().ConfigureAwait(false);
            gpus.EndUse();
        }
    }

    private async ValueTask<FetchOutcome> AdoptAsync(SourceLease lease, int target, CancellationToken cancellationToken)
    {
        var (gpu, offset) = lease.Gpu!;
        return await store.AdoptAsync(lease.Shard, gpus, gpu, offset, target, () => lease.IsValid, cancellationToken).ConfigureAwait(false)
            ? new FetchOutcome(FetchStatus.Ok)
            : IsIntact(lease) ? new FetchOutcome(FetchStatus.NotAdopted) : Expired();
    }

    private async ValueTask<FetchOutcome> ReadAsync(SourceLease lease, ShardWrite write, Action<int> received)
    {
        await gpus.ReadAsync(lease.Gpu!.Gpu, lease.Gpu.Offset, write.Buffer).ConfigureAwait(false);
        if (!IsIntact(lease))
        {
            return Expired();
        }

        received(write.Shard.Size);
        return new FetchOutcome(FetchStatus.Ok);
    }

    /// <summary>Does something with a shard where it lies.</summary>
    private async ValueTask<FetchOutcome> WithLeaseAsync(
        ShardInfo shard, Func<SourceLease, CancellationToken, ValueTask<FetchOutcome>> act, Action<int> received, CancellationToken cancellationToken)
    {
        if (!gpus.TryUse())
        {
            return Closed();
        }

        try
        {
            using var either = CancellationTokenSource.CreateLinkedTokenSource(_stop.Token, cancellationToken);
            var located = await leases.LocateAsync(shard, LeaseKind.Gpu, () => received(0), either.Token).ConfigureAwait(false);
            if (located.Lease is not { } lease)
            {
                return WithoutLease(located);
            }

            using (lease)
            {
                return gpus.Has(lease.Gpu!.Gpu, lease.Gpu.Offset, shard.Size)
                    ? await act(lease, either.Token).ConfigureAwait(false)
                    : FetchOutcome.Failed(FailureReasons.Moved, $"the peer told of no GPU memory at {lease.Gpu.Offset} of its GPU {lease.Gpu.Gpu}");
            }
        }
        catch (IOException failure)
        {
            return FetchOutcome.Failed(FailureReasons.DeviceLost, failure.Message);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return Closed();
        }
        finally
        {
            gpus.EndUse();
        }
    }

    /// <summary>A peer that has the shard elsewhere than on a GPU says so; that is no fault of the path.</summary>
    private static FetchOutcome WithoutLease(in LocateOutcome located) => (located.Status, located.Reason) switch
    {
        (FetchStatus.PathFailed, FailureReasons.Refused) => new FetchOutcome(FetchStatus.NotCarried, Detail: located.Detail),
        (FetchStatus.PathFailed, _) => FetchOutcome.Failed(FailureReasons.LaneLost, located.Detail ?? "the lease lane ended"),
        _ => located.ToFetch(),
    };

    private bool IsIntact(SourceLease lease) => lease.IsValid && gpus.IsUnchanged;

    private static FetchOutcome Expired() => FetchOutcome.Failed(FailureReasons.LeaseExpired, "the lease on the peer's GPU memory ended before it was copied");

    private static FetchOutcome Closed() => new(FetchStatus.Disconnected, Detail: "the channel was closed");
}
