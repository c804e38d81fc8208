using Microsoft.Extensions.Logging;
using P2PWeights.Store;
using P2PWeights.Store.Adopting;
using P2PWeights.Transfer.Leasing;

namespace P2PWeights.Transfer.Paths.Local;

/// <summary>
/// The path to a peer on the same host: shards are taken from its files and its arena, and no payload crosses a socket. That the host is the same is proved by what
/// stands in the peer's arena (<see cref="HostProof"/>); a peer without an arena proves it with the first file that it names. Thread-safe. Disposing ends what is borrowed:
/// the promises run out, nothing is copied.
/// </summary>
internal sealed class LocalPath(ShardStore store, TimeProvider time, ILogger log) : ITransferPath, IAsyncDisposable
{
    private readonly Lock _gate = new();
    private readonly Dictionary<Guid, LendingPeer> _lending = [];
    private readonly OwnedTasks _running = new();
    private readonly CancellationTokenSource _stop = new();

    public string Name => PathNames.Local;

    /// <inheritdoc/>
    public async ValueTask<PathOpening> OpenAsync(PeerSession peer, CancellationToken cancellationToken)
    {
        // While the lane to it is up it is the process that gave the proof, so none is asked for again.
        if (TryUse(peer.Peer.Id) is { } known)
        {
            return PathOpening.Open(new LocalChannel(store, known, peer.Closed));
        }

        var leases = await peer.LeasesAsync(cancellationToken).ConfigureAwait(false);
        var (arena, problem) = await PeerArena.OpenAsync(leases, peer.Peer.Id, cancellationToken).ConfigureAwait(false);
        return problem is null
            ? PathOpening.Open(new LocalChannel(store, Begin(peer.Peer, leases, arena), peer.Closed))
            : PathOpening.Unreachable(problem);
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        await _running.WaitAsync().ConfigureAwait(false);
        _stop.Dispose();
    }

    /// <summary>Whether a lane to the peer is up for leases, which may be all that there is between the two.</summary>
    public bool IsLending(Guid peer)
    {
        lock (_gate)
        {
            return _lending.TryGetValue(peer, out var known) && !known.Leases.Ended.IsCompleted;
        }
    }

    /// <summary>The conversation with the peer for leases, for another user; null when there is none, or it is down: that one is left to its end.</summary>
    private LendingPeer? TryUse(Guid peer)
    {
        lock (_gate)
        {
            return _lending.TryGetValue(peer, out var known) && known.TryUse() ? known : null;
        }
    }

    /// <summary>Keeps the session's lane for leases beyond the session.</summary>
    /// <param name="arena">The peer's, proved; taken over.</param>
    /// <exception cref="IOException">The lane ended meanwhile.</exception>
    private LendingPeer Begin(PeerInfo peer, LeaseSession leases, ForeignArena? arena)
    {
        lock (_gate)
        {
            if (_stop.IsCancellationRequested || !leases.TryShare())
            {
                arena?.Dispose();
                throw new IOException($"the lease lane to {peer.Name} was closed");
            }

            var begun = new LendingPeer(store, peer, leases, arena, time, log);
            _lending[peer.Id] = begun;
            _running.Start(() => RunAsync(begun));
            return begun;
        }
    }

    private async Task RunAsync(LendingPeer peer)
    {
        await peer.RunAsync(_stop.Token).ConfigureAwait(false);
        lock (_gate)
        {
            if (_lending.GetValueOrDefault(peer.Id) == peer)
            {
                _lending.Remove(peer.Id);
            }
        }
    }
}
