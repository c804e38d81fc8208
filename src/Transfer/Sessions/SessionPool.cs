using P2PWeights.Transfer.Connections;

namespace P2PWeights.Transfer.Sessions;

/// <summary>The sessions with peers that pulls need now: one per peer, shared by all pulls, with the channel of the path that reaches the peer. Thread-safe.</summary>
internal sealed class SessionPool(Dialler dialler, IReadOnlyList<ITransferPath> paths, PeerBook peers, TimeProvider time)
{
    private readonly Lock _gate = new();
    private readonly Dictionary<Guid, Shared> _shared = [];

    /// <summary>Borrows the session with a peer, opening it if need be; disposing the result gives it back, and the last one back closes it.</summary>
    /// <exception cref="TransferException">The peer answered, and one side refuses the other, or no path reaches it.</exception>
    /// <exception cref="IOException">The peer cannot be reached.</exception>
    public async Task<BorrowedSession> BorrowAsync(PeerInfo peer, CancellationToken cancellationToken)
    {
        Shared shared;
        lock (_gate)
        {
            if (!_shared.TryGetValue(peer.Id, out shared!) || shared.IsOver)
            {
                shared = new Shared(OpenAsync(peer));
                _shared[peer.Id] = shared;
            }

            shared.Borrowers++;
        }

        try
        {
            var (session, path, channel) = await shared.Opening.WaitAsync(cancellationToken).ConfigureAwait(false);
            return new BorrowedSession(session, path, channel, () => ReturnAsync(peer, shared));
        }
        catch
        {
            await ReturnAsync(peer, shared).ConfigureAwait(false);
            throw;
        }
    }

    private async Task<(PeerSession Session, string Path, IPathChannel Channel)> OpenAsync(PeerInfo peer)
    {
        // Not cancelled with any one borrower: others may wait for the same session. The dialler has its own deadlines.
        var session = await PeerSession.OpenAsync(peer, dialler, time, CancellationToken.None).ConfigureAwait(false);
        var reasons = new List<string>();
        foreach (var path in paths)
        {
            var opening = await path.OpenAsync(session, CancellationToken.None).ConfigureAwait(false);
            if (opening.Channel is { } channel)
            {
                peers.SetConnected(peer, path.Name);
                return (session, path.Name, channel);
            }

            reasons.Add($"{path.Name}: {opening.Reason}");
        }

        await session.DisposeAsync().ConfigureAwait(false);
        throw new TransferException(TransferError.NotAllowed, $"no allowed path reaches {peer.Name} ({string.Join("; ", reasons)})");
    }

    private async Task ReturnAsync(PeerInfo peer, Shared shared)
    {
        bool wasCurrent;
        lock (_gate)
        {
            if (--shared.Borrowers > 0)
            {
                return;
            }

            wasCurrent = _shared.TryGetValue(peer.Id, out var current) && ReferenceEquals(current, shared);
            if (wasCurrent)
            {
                _shared.Remove(peer.Id);
            }
        }

        await ((Task)shared.Opening).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        if (shared.Opening.IsCompletedSuccessfully)
        {
            var (session, _, channel) = await shared.Opening.ConfigureAwait(false);
            await channel.DisposeAsync().ConfigureAwait(false);
            await session.DisposeAsync().ConfigureAwait(false);
            if (wasCurrent)
            {
                peers.SetConnected(peer, null);
            }
        }
    }

    private sealed class Shared(Task<(PeerSession Session, string Path, IPathChannel Channel)> opening)
    {
        public Task<(PeerSession Session, string Path, IPathChannel Channel)> Opening => opening;

        public int Borrowers { get; set; }

        /// <summary>Failed to open, or closed since: nobody else may join it.</summary>
        public bool IsOver => opening.IsFaulted || (opening.IsCompletedSuccessfully && opening.Result.Session.Closed.IsCompleted);
    }
}

/// <summary>A session borrowed from the pool.</summary>
/// <param name="Session">The conversation.</param>
/// <param name="Path">The word of the path in use.</param>
/// <param name="Channel">The path to the peer.</param>
internal sealed record BorrowedSession(PeerSession Session, string Path, IPathChannel Channel, Func<Task> Return) : IAsyncDisposable
{
    public async ValueTask DisposeAsync() => await Return().ConfigureAwait(false);
}
