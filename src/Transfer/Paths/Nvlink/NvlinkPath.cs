using P2PWeights.Store;
using P2PWeights.Transfer.Leasing;

namespace P2PWeights.Transfer.Paths.Nvlink;

/// <summary>
/// The path to the GPUs of a peer on the same host: the devices copy from its memory to this node's, over NVLink where there is one. That the host and the user are the same is proved by what
/// stands in the peer's arena, and by what stands beside it of its GPUs, which nobody else could read.
/// </summary>
internal sealed class NvlinkPath(ShardStore store) : ITransferPath
{
    public string Name => PathNames.Nvlink;

    /// <inheritdoc/>
    public async ValueTask<PathOpening> OpenAsync(PeerSession peer, CancellationToken cancellationToken)
    {
        if (store.Gpus.Count == 0)
        {
            return PathOpening.Unreachable("this node has no gpu tier");
        }

        var leases = await peer.LeasesAsync(cancellationToken).ConfigureAwait(false);
        var (arena, problem) = await PeerArena.OpenAsync(leases, peer.Peer.Id, cancellationToken).ConfigureAwait(false);
        if (arena is null)
        {
            return PathOpening.Unreachable(problem ?? "the peer has no memory tier, and so no gpu tier");
        }

        if (store.OpenForeignGpus(arena, out problem) is { } gpus)
        {
            return PathOpening.Open(new NvlinkChannel(store, leases, gpus));
        }

        arena.Dispose();
        return PathOpening.Unreachable(problem!);
    }
}
