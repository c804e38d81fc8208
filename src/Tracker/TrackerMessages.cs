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

/// <summary>Something happened in the catalog.</summary>
/// <param name="Number">Grows by one with each event.</param>
/// <param name="Kind"><c>published</c>, <c>removed</c>, <c>tagged</c>.</param>
/// <param name="Checkpoint"><c>name@version</c>, or <c>name@tag</c>.</param>
/// <param name="Manifest">The manifest concerned.</param>
public sealed record CatalogEvent(long Number, string Kind, string Checkpoint, Digest Manifest);

/// <summary>A checkpoint in the catalog.</summary>
/// <param name="Name">Name without version.</param>
/// <param name="Version">Version.</param>
/// <param name="Tags">Tags that point at this version.</param>
/// <param name="Manifest">Digest of its manifest.</param>
/// <param name="Bytes">Sum of file sizes.</param>
/// <param name="Files">Number of files.</param>
/// <param name="Shards">Number of distinct shards.</param>
/// <param name="PublishedAt">When it became visible.</param>
/// <param name="CompletePeers">Live peers that hold every shard.</param>
/// <param name="AvailableShards">Distinct shards with at least one live replica.</param>
public sealed record CheckpointInfo(
    string Name, string Version, ImmutableArray<string> Tags, Digest Manifest, long Bytes, int Files, int Shards,
    DateTimeOffset PublishedAt, int CompletePeers, int AvailableShards);

/// <summary>What became of a request to publish.</summary>
public enum PublishOutcome
{
    /// <summary>Visible now.</summary>
    Published,

    /// <summary>The same content stood there already.</summary>
    AlreadyPublished,

    /// <summary>Not visible yet: some shards have no live replica.</summary>
    Staged,

    /// <summary>The name and version stand for other content. Nothing changed.</summary>
    Conflict,
}

/// <summary>Answer to a request to publish.</summary>
/// <param name="Outcome">What became of it.</param>
/// <param name="MissingShards">With <see cref="PublishOutcome.Staged"/>: shards without a live replica.</param>
/// <param name="Existing">With <see cref="PublishOutcome.Conflict"/>: the manifest that stands there.</param>
public sealed record PublishResponse(PublishOutcome Outcome, int MissingShards, Digest? Existing);

/// <summary>A live peer as the tracker sees it.</summary>
/// <param name="Peer">Who.</param>
/// <param name="Shards">Shards it holds.</param>
/// <param name="Swarms">Swarms it is in.</param>
/// <param name="AgeMs">Milliseconds since its last sync.</param>
/// <param name="LoadBytesPerSecond">Bytes per second it sends.</param>
public sealed record TrackedPeer(PeerInfo Peer, int Shards, int Swarms, long AgeMs, long LoadBytesPerSecond);

/// <summary>The tracker's own state.</summary>
public sealed record TrackerStatus(string Version, long Epoch, TimeSpan Uptime, int Checkpoints, int Staged, int Peers, int DistinctShards, long Syncs);
