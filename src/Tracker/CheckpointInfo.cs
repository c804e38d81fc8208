using System.Collections.Immutable;
using P2PWeights.Store.Content;

namespace P2PWeights.Tracker;

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
/// <param name="LastingCopies">Complete peers that are nodes of their own: one inside a command takes its copy with it.</param>
public sealed record CheckpointInfo(
    string Name, string Version, ImmutableArray<string> Tags, Digest Manifest, long Bytes, int Files, int Shards,
    DateTimeOffset PublishedAt, int CompletePeers, int AvailableShards, int LastingCopies);
