using P2PWeights.Store.Content;
using P2PWeights.Store.Folders;

namespace P2PWeights.Client;

/// <summary>What a comparison of a folder with a manifest found.</summary>
/// <param name="Checkpoint"><c>name@version</c>.</param>
/// <param name="Manifest">Digest of the manifest.</param>
/// <param name="Files">Files compared.</param>
/// <param name="Bytes">Bytes compared.</param>
/// <param name="Differences">Empty when the folder is the checkpoint.</param>
public sealed record VerifyReport(string Checkpoint, Digest Manifest, int Files, long Bytes, IReadOnlyList<FolderDifference> Differences);
