using System.Collections.Immutable;
using P2PWeights.Store.Content;
using P2PWeights.Transfer;

namespace P2PWeights.Tracker;

/// <summary>Heartbeat of one peer: who it is, what it gained and lost since the last sync, and the swarms it is in.</summary>
/// <param name="Peer">The peer as others should see it.</param>
/// <param name="Sequence">Number of this sync, one more than the last; the tracker asks for a full one when it sees a gap.</param>
/// <param name="Full">When true, <paramref name="Gained"/> is everything the peer holds and replaces what the tracker knew.</param>
/// <param name="Leaving">When true, the peer stops: it is forgotten at once and gets no neighbours.</param>
/// <param name="Gained">Shards that can be fetched from this peer from now on.</param>
/// <param name="Lost">Shards that cannot any more.</param>
/// <param name="Swarms">Manifests that the peer holds or wants.</param>
/// <param name="EventsAfter">Number of the last catalog event the peer has seen; 0 for none.</param>
/// <param name="LoadBytesPerSecond">Bytes per second it sends now.</param>
public sealed record SyncRequest(
    PeerInfo Peer,
    long Sequence,
    bool Full,
    bool Leaving,
    ImmutableArray<Digest> Gained,
    ImmutableArray<Digest> Lost,
    ImmutableArray<Digest> Swarms,
    long EventsAfter,
    long LoadBytesPerSecond);
