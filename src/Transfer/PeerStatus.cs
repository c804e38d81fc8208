namespace P2PWeights.Transfer;

/// <summary>State of one peer, for <c>p2pw peers</c>.</summary>
/// <param name="Peer">Who.</param>
/// <param name="Connected">Whether a session is up, be it for leases alone.</param>
/// <param name="Path">The best path that works; null when none does, or no session is up.</param>
/// <param name="BytesReceived">Verified bytes that came from it since the start.</param>
/// <param name="Banned">Why it is banned, or null.</param>
/// <param name="BannedUntil">Until when.</param>
/// <param name="Paths">Every allowed path to it, best first.</param>
public sealed record PeerStatus(
    PeerInfo Peer, bool Connected, string? Path, long BytesReceived, string? Banned, DateTimeOffset? BannedUntil, IReadOnlyList<PeerPathStatus> Paths);

/// <summary>State of one path to a peer.</summary>
/// <param name="Carried">What it carried since the start.</param>
/// <param name="BytesPerSecond">Verified bytes per second lately, not counting the time in which nothing was on its way; 0 while unknown.</param>
/// <param name="State"><c>untried</c>, <c>proving</c>, <c>proven</c> or <c>demoted</c>.</param>
/// <param name="Reason">Why it was demoted, in a word of <see cref="FailureReasons"/>; null while nothing speaks against it.</param>
/// <param name="Detail">The same for people.</param>
/// <param name="RetryAt">When it may be tried again.</param>
public sealed record PeerPathStatus(PathReport Carried, double BytesPerSecond, string State, string? Reason, string? Detail, DateTimeOffset? RetryAt);
