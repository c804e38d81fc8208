using P2PWeights.Store.Adopting;

namespace P2PWeights.Transfer.Leasing;

/// <summary>The arena of a peer, looked for on this host.</summary>
internal static class PeerArena
{
    /// <summary>Asks the peer for its arena, opens it here, and has the peer prove that it is its own (<see cref="HostProof"/>).</summary>
    /// <returns>The arena, owned by the caller; or why it is not here, one clause for people; or neither, when the peer has none.</returns>
    /// <exception cref="IOException">The lane ended, or no answer came in time.</exception>
    /// <exception cref="TransferException">The peer broke the protocol.</exception>
    public static async ValueTask<(ForeignArena? Arena, string? Problem)> OpenAsync(LeaseSession leases, Guid peer, CancellationToken cancellationToken)
    {
        var challenge = HostProof.NewChallenge();
        var answer = await leases.ProveHostAsync(challenge, cancellationToken).ConfigureAwait(false);
        if (answer.ArenaPath.Length == 0)
        {
            return default;
        }

        if (ForeignArena.TryOpen(answer.ArenaPath, out var problem) is not { } arena)
        {
            return (null, $"the peer's arena is not on this host, or closed to this user: {problem}");
        }

        if (HostProof.Matches(answer.Proof.Span, arena.Nonce, challenge, peer))
        {
            return (arena, null);
        }

        arena.Dispose();
        return (null, $"{answer.ArenaPath} on this host is not the peer's arena");
    }
}
