using System.Collections.Immutable;
using P2PWeights.Store.Content;
using P2PWeights.Transfer;

namespace P2PWeights.Tracker;

/// <summary>The tracker's answer to a sync.</summary>
/// <param name="LeaseMs">How long the peer counts as alive without another sync.</param>
/// <param name="Resync">When true, nothing was taken: send a full sync next.</param>
/// <param name="Epoch">Changes with each start of the tracker's state.</param>
/// <param name="Swarms">Per swarm of the request that the tracker knows: neighbours with their bitmaps, and rarity.</param>
/// <param name="Events">Catalog events after <c>EventsAfter</c>, oldest first, bounded.</param>
public sealed record SyncResponse(int LeaseMs, bool Resync, long Epoch, ImmutableArray<SwarmView> Swarms, ImmutableArray<CatalogEvent> Events);

/// <summary>A swarm as one of its peers should see it.</summary>
/// <param name="Manifest">The swarm.</param>
/// <param name="Peers">Peers in it, the asking one included.</param>
/// <param name="Neighbours">About 16 of them, with what they hold.</param>
/// <param name="Rarity">Per shard ordinal, live replicas in the cluster, 255 for that many or more.</param>
public sealed record SwarmView(Digest Manifest, int Peers, ImmutableArray<Neighbour> Neighbours, ReadOnlyMemory<byte> Rarity);

/// <summary>A peer of the same swarm.</summary>
/// <param name="Peer">Who.</param>
/// <param name="Held">Bit i (least significant first) of byte i/8 says whether it holds shard ordinal i.</param>
public sealed record Neighbour(PeerInfo Peer, ReadOnlyMemory<byte> Held);
