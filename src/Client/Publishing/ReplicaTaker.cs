using Microsoft.Win32.SafeHandles;
using P2PWeights.Store;
using P2PWeights.Store.Folders;

namespace P2PWeights.Client.Publishing;

/// <summary>Makes this node hold what it is about to announce: by referencing the hashed files where they lie, or by copying their shards into the tiers.</summary>
internal sealed class ReplicaTaker(ShardStore store)
{
    /// <summary>References every file in place. Durable on return.</summary>
    /// <exception cref="NodeException"><see cref="NodeError.Integrity"/>: a file changed since it was hashed.</exception>
    public async Task ReferenceAsync(IReadOnlyList<PublishedFile> files, CancellationToken cancellationToken)
    {
        foreach (var file in files.Where(file => file.Extents.Length > 0))
        {
            try
            {
                await store.ReferenceAsync(file.File.FullPath, file.Identity, file.Extents, cancellationToken).ConfigureAwait(false);
            }
            catch (StoreException e) when (e.Error is StoreError.NotAllowed or StoreError.WrongDigest)
            {
                throw Changed(file, e);
            }
        }
    }

    /// <summary>Copies every shard that is not held yet into the memory or disk tier; each is hashed again on its way in.</summary>
    /// <exception cref="NodeException"><see cref="NodeError.Integrity"/>: a file changed since it was hashed.</exception>
    public async Task CopyAsync(IReadOnlyList<PublishedFile> files, CancellationToken cancellationToken)
    {
        foreach (var file in files)
        {
            using var handle = CheckpointFiles.OpenRead(file.File);
            await Parallel.ForEachAsync(
                file.Extents.DistinctBy(extent => extent.Shard.Digest).Where(extent => !store.Contains(extent.Shard.Digest)),
                cancellationToken,
                async (extent, token) => await CopyAsync(file, handle, extent, token).ConfigureAwait(false)).ConfigureAwait(false);
        }
    }

    private async Task CopyAsync(PublishedFile file, SafeFileHandle handle, FileExtent extent, CancellationToken cancellationToken)
    {
        using var write = await store.BeginWriteAsync(extent.Shard, null, cancellationToken).ConfigureAwait(false);
        for (var filled = 0; filled < extent.Shard.Size;)
        {
            var read = await RandomAccess.ReadAsync(handle, write.Buffer[filled..], extent.Offset + filled, cancellationToken).ConfigureAwait(false);
            filled += read > 0 ? read : throw Changed(file, null);
        }

        try
        {
            await write.CommitAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (StoreException e) when (e.Error == StoreError.WrongDigest)
        {
            throw Changed(file, e);
        }
    }

    private static NodeException Changed(PublishedFile file, Exception? cause) =>
        new(NodeError.Integrity, $"{file.File.FullPath} changed while it was published; nothing was published, publish again when it stays as it is", cause);
}
