namespace P2PWeights.Store.Folders;

/// <summary>A file to be published.</summary>
/// <param name="Path">Name in the manifest: relative to the folder, <c>/</c>-separated, acceptable to <see cref="Content.ManifestPath"/>.</param>
/// <param name="FullPath">Where its bytes are, symlinks resolved: the path to open, and to reference.</param>
/// <param name="Size">Bytes, when it was listed.</param>
public sealed record CheckpointFile(string Path, string FullPath, long Size);
