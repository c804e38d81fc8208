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
            return PathOpening.Open(new LocalChannel(store, known));
        }

        var leases = await peer.LeasesAsync(cancellationToken).ConfigureAwait(false);
        var (arena, problem) = await PeerArena.OpenAsync(leases, peer.Peer.Id, cancellationToken).ConfigureAwait(false);
        if (problem is not null)
        {
            return PathOpening.Unreachable(problem);
        }

        return PathOpening.Open(new LocalChannel(store, await BeginAsync(peer, arena, cancellationToken).ConfigureAwait(false)));
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        await _running.WaitAsync().ConfigureAwait(false);
        _stop.Dispose();
    }

    /// <summary>Whether a session with the peer is up for leases, which may be for them alone.</summary>
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

    /// <summary>A new conversation with the peer for leases.</summary>
    /// <param name="arena">The peer's, proved; taken over.</param>
    private async Task<LendingPeer> BeginAsync(PeerSession peer, ForeignArena? arena, CancellationToken cancellationToken)
    {
        PeerSession? session = null;
        try
        {
            session = await peer.OpenAnotherAsync(cancellationToken).ConfigureAwait(false);
            var opened = new LendingPeer(store, session, await session.LeasesAsync(cancellationToken).ConfigureAwait(false), arena, time, log);
            lock (_gate)
            {
                ObjectDisposedException.ThrowIf(_stop.IsCancellationRequested, this);
                _lending[peer.Peer.Id] = opened;
                _running.Start(() => RunAsync(opened));
            }

            return opened;
        }
        catch
        {
            arena?.Dispose();
            if (session is not null)
            {
                await session.DisposeAsync().ConfigureAwait(false);
            }

            throw;
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
