using P2PWeights.Store.Content;

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
