namespace P2PWeights.Store.Folders;

/// <summary>A file of a checkpoint under its final name: all that <see cref="ShardStore.ReferenceAsync"/> needs to serve its shards from there.</summary>
/// <param name="Path">Full path.</param>
/// <param name="Identity">The file's identity when it was finished.</param>
/// <param name="Extents">Its shards, in file order.</param>
public sealed record FinishedFile(string Path, FileIdentity Identity, IReadOnlyList<FileExtent> Extents);
