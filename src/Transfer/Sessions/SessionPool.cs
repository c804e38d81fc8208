using P2PWeights.Transfer.Choosing;
using P2PWeights.Transfer.Connections;
using P2PWeights.Transfer.Wire;

namespace P2PWeights.Transfer.Sessions;

/// <summary>
/// The sessions with peers that pulls need now: one per peer, shared by all pulls, with the paths to the peer. They are closed on the side, so that no pull waits for that; disposing waits, once all
/// are given back. Thread-safe.
/// </summary>
/// <param name="paths">The allowed paths, best first.</param>
internal sealed class SessionPool(Dialler dialler, IReadOnlyList<ITransferPath> paths, PeerBook peers, TimeProvider time) : IAsyncDisposable
{
    /// <summary>For one path to be set up with one peer; each of its connections has the handshake's deadline.</summary>
    private static readonly TimeSpan OpenDeadline = 2 * WireLimits.HandshakeTimeout;

    private readonly Lock _gate = new();
    private readonly Dictionary<Guid, Shared> _shared = [];
    private readonly OwnedTasks _closing = new();

    /// <summary>Borrows the session with a peer, opening it if need be; disposing the result gives it back, and with the last one it closes.</summary>
    /// <exception cref="TransferException">The peer answered, and one side refuses the other.</exception>
    /// <exception cref="IOException">The peer cannot be reached.</exception>
    public async Task<BorrowedSession> BorrowAsync(PeerInfo peer, CancellationToken cancellationToken)
    {
        Shared shared;
        lock (_gate)
        {
            if (!_shared.TryGetValue(peer.Id, out shared!) || shared.IsOver)
            {
                shared = new Shared(Task.Run(() => OpenAsync(peer)));
                _shared[peer.Id] = shared;
            }

            shared.Borrowers++;
        }

        try
        {
            var (session, channel) = await shared.Opening.WaitAsync(cancellationToken).ConfigureAwait(false);
            return new BorrowedSession(session, channel, () => Return(peer, shared));
        }
        catch
        {
            Return(peer, shared);
            throw;
        }
    }

    public async ValueTask DisposeAsync() => await _closing.WaitAsync().ConfigureAwait(false);

    private async Task<(PeerSession Session, PeerChannel Channel)> OpenAsync(PeerInfo peer)
    {
        // Not cancelled with any one borrower: others may wait for the same session. The dialler has its own deadlines.
        var session = await PeerSession.OpenAsync(peer, dialler, time, CancellationToken.None).ConfigureAwait(false);
        peers.SessionOpened(peer);
        return (session, new PeerChannel(session, paths, peers.PathsOf(peer), OpenDeadline));
    }

    private void Return(PeerInfo peer, Shared shared)
    {
        lock (_gate)
        {
            if (--shared.Borrowers > 0)
            {
                return;
            }

            if (_shared.TryGetValue(peer.Id, out var current) && ReferenceEquals(current, shared))
            {
                _shared.Remove(peer.Id);
            }
        }

        _closing.Start(() => CloseAsync(peer, shared));
    }

    private async Task CloseAsync(PeerInfo peer, Shared shared)
    {
        await ((Task)shared.Opening).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        if (shared.Opening.IsCompletedSuccessfully)
        {
            var (session, channel) = await shared.Opening.ConfigureAwait(false);
            await channel.DisposeAsync().ConfigureAwait(false);
            await session.DisposeAsync().ConfigureAwait(false);
            peers.SessionClosed(peer);
        }
    }

    private sealed class Shared(Task<(PeerSession Session, PeerChannel Channel)> opening)
    {
        public Task<(PeerSession Session, PeerChannel Channel)> Opening => opening;

        public int Borrowers { get; set; }

        /// <summary>Failed to open, or closed since: nobody else may join it.</summary>
        public bool IsOver => opening.IsFaulted || (opening.IsCompletedSuccessfully && opening.Result.Session.Closed.IsCompleted);
    }
}

/// <summary>A session borrowed from the pool.</summary>
/// <param name="Session">The conversation.</param>
/// <param name="Channel">The paths to the peer.</param>
internal sealed record BorrowedSession(PeerSession Session, PeerChannel Channel, Action Return) : IDisposable
{
    public void Dispose() => Return();
}
