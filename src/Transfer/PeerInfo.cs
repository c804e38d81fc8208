using System.Collections.Immutable;

namespace P2PWeights.Transfer;

/// <summary>What is known of a peer before talking to it.</summary>
/// <param name="Id">Node id, stable over restarts.</param>
/// <param name="Name">Name for people.</param>
/// <param name="Endpoints"><c>host:port</c> of its peer protocol, best first.</param>
/// <param name="HostId">Identity of the machine (a hint; the local path proves it).</param>
/// <param name="Labels"><c>zone</c>, <c>rack</c>, <c>rail</c> and others.</param>
/// <param name="Passing">It lives inside a command, and what it holds goes with it: no copy to count on.</param>
public sealed record PeerInfo(
    Guid Id, string Name, ImmutableArray<string> Endpoints, string HostId, ImmutableSortedDictionary<string, string> Labels, bool Passing = false);
