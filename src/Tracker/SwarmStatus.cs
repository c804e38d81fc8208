using System.Collections.Immutable;
using P2PWeights.Store.Content;

namespace P2PWeights.Tracker;

/// <summary>A swarm as its peers' last syncs told of it.</summary>
/// <param name="Checkpoint"><c>name@version</c>.</param>
/// <param name="Manifest">Of the checkpoint.</param>
/// <param name="Bytes">Sizes of its files together.</param>
/// <param name="Shards">Distinct shards.</param>
/// <param name="AvailableShards">Those with a live replica.</param>
/// <param name="Peers">Peers in the swarm.</param>
/// <param name="CompletePeers">Those that hold every shard.</param>
/// <param name="PullingPeers">Those that pull now.</param>
/// <param name="Members">Peers in the swarm, those that have most left to pull first; not all when they are more than were asked for.</param>
public sealed record SwarmStatus(
    string Checkpoint,
    Digest Manifest,
    long Bytes,
    int Shards,
    int AvailableShards,
    int Peers,
    int CompletePeers,
    int PullingPeers,
    ImmutableArray<SwarmMember> Members);

/// <summary>One peer of a swarm.</summary>
/// <param name="Id">Node id.</param>
/// <param name="Name">Name for people.</param>
/// <param name="Shards">Shards of the checkpoint that it holds.</param>
/// <param name="Pulling">Whether it pulls the checkpoint now; the next four say how, and are 0 and empty otherwise.</param>
/// <param name="BytesDone">Verified so far, found ones included.</param>
/// <param name="BytesTotal">Of the whole checkpoint; 0 while it is not known.</param>
/// <param name="BytesPerSecond">Verified between its last two syncs.</param>
/// <param name="Path">The path that carries most.</param>
/// <param name="LoadBytesPerSecond">Bytes per second that it sends, in all swarms together.</param>
/// <param name="AgeMs">Milliseconds since its last sync.</param>
public sealed record SwarmMember(
    Guid Id,
    string Name,
    int Shards,
    bool Pulling,
    long BytesDone,
    long BytesTotal,
    long BytesPerSecond,
    string Path,
    long LoadBytesPerSecond,
    long AgeMs);
