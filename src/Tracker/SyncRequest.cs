using System.Collections.Immutable;
using P2PWeights.Store.Content;
using P2PWeights.Transfer;

namespace P2PWeights.Tracker;

/// <summary>
/// Heartbeat of one peer: who it is, and what changed since its last sync. A sync in which nothing changed has no digest and no bitmap in it.
/// </summary>
/// <param name="Peer">The peer as others should see it.</param>
/// <param name="Sequence">Number of this sync, one more than the last; the tracker asks for a full one when it sees a gap.</param>
/// <param name="Full">When true, this is everything: what it does not name, the peer neither holds nor is in.</param>
/// <param name="Leaving">When true, the peer stops: it is forgotten at once and gets no neighbours.</param>
/// <param name="Gained">Shards of no swarm that the tracker knows, that can be fetched from this peer from now on.</param>
/// <param name="Lost">Shards of no swarm that the tracker knows, that cannot any more.</param>
/// <param name="Swarms">Swarms that the peer entered since the last sync, and those in which it gained or lost shards.</param>
/// <param name="Left">Manifests whose swarms it left.</param>
/// <param name="Pulls">What it pulls now: it wants neighbours in these swarms.</param>
/// <param name="EventsAfter">Number of the last catalog event the peer has seen; 0 for none.</param>
/// <param name="LoadBytesPerSecond">Bytes per second it sends now.</param>
public sealed record SyncRequest(
    PeerInfo Peer,
    long Sequence,
    bool Full,
    bool Leaving,
    ImmutableArray<Digest> Gained,
    ImmutableArray<Digest> Lost,
    ImmutableArray<SwarmHoldings> Swarms,
    ImmutableArray<Digest> Left,
    ImmutableArray<SwarmPull> Pulls,
    long EventsAfter,
    long LoadBytesPerSecond);

/// <summary>What a peer holds of one manifest: the state, not a change, so that saying it twice does no harm.</summary>
/// <param name="Manifest">The swarm.</param>
/// <param name="Held">Bit i (least significant first) of byte i/8 says whether it holds the shard with ordinal i.</param>
public sealed record SwarmHoldings(Digest Manifest, ReadOnlyMemory<byte> Held);

/// <summary>A pull under way.</summary>
/// <param name="Manifest">The swarm.</param>
/// <param name="Seen"><see cref="SwarmView.Number"/> of the neighbours that the peer has; 0 for none.</param>
/// <param name="BytesDone">Verified so far, found ones included.</param>
/// <param name="BytesTotal">Of the whole checkpoint; 0 while it is not known.</param>
/// <param name="Path">The path that carries most; empty before the first byte.</param>
public sealed record SwarmPull(Digest Manifest, long Seen, long BytesDone, long BytesTotal, string Path);
