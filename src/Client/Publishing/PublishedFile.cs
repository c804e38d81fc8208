using System.Collections.Immutable;
using P2PWeights.Store;
using P2PWeights.Store.Content;
using P2PWeights.Store.Folders;

namespace P2PWeights.Client.Publishing;

/// <summary>One file of a folder, cut and hashed.</summary>
/// <param name="File">Its name in the manifest, and where it lies.</param>
/// <param name="Identity">What the file was while it was hashed.</param>
/// <param name="Extents">Its shards in file order.</param>
/// <param name="Tensors">Its tensors, when it is a safetensors file.</param>
internal sealed record PublishedFile(
    CheckpointFile File, FileIdentity Identity, ImmutableArray<FileExtent> Extents, ImmutableArray<SafetensorsTensor> Tensors);
