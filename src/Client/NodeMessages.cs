using P2PWeights.Store.Content;
using P2PWeights.Store.Folders;
using P2PWeights.Tracker;
using P2PWeights.Transfer;

namespace P2PWeights.Client;

/// <summary>A folder to publish.</summary>
/// <param name="Folder">Absolute path.</param>
/// <param name="Checkpoint"><c>name@version</c>.</param>
/// <param name="Copy">When true, shards are copied into the tiers; else the files are referenced in place and must stay as they are.</param>
/// <param name="Tags">Tags to point at the version once it is visible.</param>
/// <param name="Metadata">Free metadata, part of the content.</param>
/// <param name="MaxShardBytes">Cutting limit in bytes.</param>
public sealed record PublishRequest(
    string Folder, string Checkpoint, bool Copy, IReadOnlyList<string> Tags, IReadOnlyDictionary<string, string> Metadata,
    int MaxShardBytes = Manifest.DefaultMaxShardBytes);

/// <summary>How far a publication is.</summary>
/// <param name="Stage"><c>hashing</c>, <c>announcing</c>.</param>
/// <param name="BytesDone">Bytes hashed.</param>
/// <param name="BytesTotal">Bytes to hash.</param>
public sealed record PublishProgress(string Stage, long BytesDone, long BytesTotal);

/// <summary>What a publication did.</summary>
/// <param name="Checkpoint"><c>name@version</c>.</param>
/// <param name="Manifest">Digest of the manifest.</param>
/// <param name="AlreadyPublished">The same content stood there before.</param>
/// <param name="Files">Files.</param>
/// <param name="Tensors">Tensors.</param>
/// <param name="Shards">Distinct shards.</param>
/// <param name="NewShards">Shards that this node did not hold before.</param>
/// <param name="Bytes">Sum of file sizes.</param>
/// <param name="Elapsed">Wall time, all stages.</param>
/// <param name="HashElapsed">Wall time of cutting and hashing.</param>
public sealed record PublishReport(
    string Checkpoint, Digest Manifest, bool AlreadyPublished, int Files, int Tensors, int Shards, int NewShards, long Bytes,
    TimeSpan Elapsed, TimeSpan HashElapsed);

/// <summary>A checkpoint to pull.</summary>
/// <param name="Checkpoint"><c>name@version</c> or <c>name@tag</c>.</param>
/// <param name="Folder">Absolute path of the target folder; null for the tiers only.</param>
public sealed record CheckpointPullRequest(string Checkpoint, string? Folder);

/// <summary>What a pull of a checkpoint did.</summary>
/// <param name="Checkpoint"><c>name@version</c>, tags resolved.</param>
/// <param name="Manifest">Digest of the manifest.</param>
/// <param name="Folder">Target folder, or null.</param>
/// <param name="Files">Files.</param>
/// <param name="Transfer">Bytes, time and sources.</param>
public sealed record CheckpointPullReport(string Checkpoint, Digest Manifest, string? Folder, int Files, PullReport Transfer);

/// <summary>What a comparison of a folder with a manifest found.</summary>
/// <param name="Checkpoint"><c>name@version</c>.</param>
/// <param name="Manifest">Digest of the manifest.</param>
/// <param name="Files">Files compared.</param>
/// <param name="Bytes">Bytes compared.</param>
/// <param name="Differences">Empty when the folder is the checkpoint.</param>
public sealed record VerifyReport(string Checkpoint, Digest Manifest, int Files, long Bytes, IReadOnlyList<FolderDifference> Differences);

/// <summary>What a scrub of a node found and mended.</summary>
/// <param name="Checked">Replicas hashed.</param>
/// <param name="Bytes">Bytes hashed.</param>
/// <param name="Wrong">One sentence per wrong replica: shard, tier, place.</param>
/// <param name="Repaired">Wrong shards fetched again from peers.</param>
/// <param name="Unrepaired">Wrong shards that no peer could give.</param>
public sealed record NodeScrubReport(long Checked, long Bytes, IReadOnlyList<string> Wrong, int Repaired, int Unrepaired);

/// <summary>State of a node.</summary>
/// <param name="Id">Node id.</param>
/// <param name="Name">Name for people.</param>
/// <param name="Version">Version of the software.</param>
/// <param name="Endpoint">Where peers reach it.</param>
/// <param name="Uptime">Time since the start.</param>
/// <param name="Tracker">The tracker in use.</param>
/// <param name="TrackerReachable">Whether the last sync worked.</param>
/// <param name="Tiers">Use of each tier: name, shards, bytes, quota.</param>
/// <param name="Checkpoints">Manifests kept.</param>
/// <param name="ServedShards">Shards served since the start.</param>
/// <param name="ServedBytes">Bytes served since the start.</param>
/// <param name="Pulls">Running pulls.</param>
public sealed record NodeStatus(
    Guid Id, string Name, string Version, string Endpoint, TimeSpan Uptime, string Tracker, bool TrackerReachable,
    IReadOnlyList<TierStatus> Tiers, int Checkpoints, long ServedShards, long ServedBytes, IReadOnlyList<RunningPull> Pulls);

/// <summary>Use of one tier.</summary>
public sealed record TierStatus(string Tier, long Shards, long Bytes, long QuotaBytes);

/// <summary>A pull under way.</summary>
public sealed record RunningPull(string Checkpoint, string? Folder, PullProgress Progress);

/// <summary>A checkpoint with its files and tensors.</summary>
public sealed record CheckpointDetails(CheckpointInfo Info, int MaxShardBytes, IReadOnlyList<FileDetails> Files, IReadOnlyList<TensorDetails> Tensors, IReadOnlyDictionary<string, string> Metadata);

/// <summary>A file of a checkpoint.</summary>
public sealed record FileDetails(string Path, long Size, int Shards);

/// <summary>A tensor of a checkpoint.</summary>
public sealed record TensorDetails(string Name, string DType, IReadOnlyList<long> Shape, string File, long Offset, long Length);
