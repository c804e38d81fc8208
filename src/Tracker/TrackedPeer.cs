using P2PWeights.Transfer;

namespace P2PWeights.Tracker;

/// <summary>A live peer as the tracker sees it.</summary>
/// <param name="Peer">Who.</param>
/// <param name="Shards">Shards it holds.</param>
/// <param name="Swarms">Swarms it is in.</param>
/// <param name="AgeMs">Milliseconds since its last sync.</param>
/// <param name="LoadBytesPerSecond">Bytes per second it sends.</param>
public sealed record TrackedPeer(PeerInfo Peer, int Shards, int Swarms, long AgeMs, long LoadBytesPerSecond);
