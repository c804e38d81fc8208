using P2PWeights.Store.Content;
using P2PWeights.Transfer;

namespace P2PWeights.Client;

/// <summary>A checkpoint to pull.</summary>
/// <param name="Checkpoint"><c>name@version</c> or <c>name@tag</c>.</param>
/// <param name="Folder">Absolute path of the target folder; null for the tiers only.</param>
/// <param name="Gpu">The GPU whose memory is to hold it, as the node's settings name it; null for the other tiers. Not with a folder.</param>
public sealed record CheckpointPullRequest(string Checkpoint, string? Folder, string? Gpu = null);

/// <summary>What a pull of a checkpoint did.</summary>
/// <param name="Checkpoint"><c>name@version</c>, tags resolved.</param>
/// <param name="Manifest">Digest of the manifest.</param>
/// <param name="Folder">Target folder, or null.</param>
/// <param name="Files">Files.</param>
/// <param name="Transfer">Bytes, time and sources.</param>
/// <param name="Gpu">The GPU that holds it, or null.</param>
public sealed record CheckpointPullReport(string Checkpoint, Digest Manifest, string? Folder, int Files, PullReport Transfer, string? Gpu = null);
