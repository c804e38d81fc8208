using System.Collections.Immutable;
using P2PWeights.Store.Content;
using P2PWeights.Transfer;

namespace P2PWeights.Tracker;

/// <summary>The tracker's answer to a sync.</summary>
/// <param name="LeaseMs">How long the peer counts as alive without another sync. Grows with the number of peers.</param>
/// <param name="GatherMs">For how long the peer should gather changes before its next sync, so that all peers together ask no more than the tracker answers.</param>
/// <param name="Resync">When true, nothing was taken: send a full sync next.</param>
/// <param name="Epoch">Changes with each start of the tracker's state.</param>
/// <param name="Swarms">The swarms that the peer pulls.</param>
/// <param name="Unknown">Swarms of the request whose manifests the tracker does not have: nothing was taken of them.</param>
/// <param name="Scarce">News of how rare shards are, of one of the peer's swarms at a time and seldom; null most of the time.</param>
/// <param name="Events">Catalog events after <c>EventsAfter</c>, oldest first, bounded.</param>
public sealed record SyncResponse(
    int LeaseMs,
    int GatherMs,
    bool Resync,
    long Epoch,
    ImmutableArray<SwarmView> Swarms,
    ImmutableArray<Digest> Unknown,
    ScarceShards? Scarce,
    ImmutableArray<CatalogEvent> Events);

/// <summary>A swarm as one that pulls should see it.</summary>
/// <param name="Manifest">The swarm.</param>
/// <param name="Peers">Peers in it, the asking one included.</param>
/// <param name="Number">Names this set of neighbours; to be said in the next sync.</param>
/// <param name="Neighbours">About 16 peers that hold or want the swarm's shards; null when they are those that the peer has seen.</param>
public sealed record SwarmView(Digest Manifest, int Peers, long Number, ImmutableArray<PeerInfo>? Neighbours);

/// <summary>Which shards of a manifest the cluster could lose.</summary>
/// <param name="Manifest">The swarm.</param>
/// <param name="Shards">Bit i (least significant first) of byte i/8 says that the shard with ordinal i has at most one live replica.</param>
public sealed record ScarceShards(Digest Manifest, ReadOnlyMemory<byte> Shards);
