using System.Collections.Immutable;
using Microsoft.Win32.SafeHandles;
using P2PWeights.Store;
using P2PWeights.Store.Content;
using P2PWeights.Store.Folders;

namespace P2PWeights.Client.Publishing;

/// <summary>Cuts and hashes the files of a folder, one file after the other, each on all cores.</summary>
internal static class FolderReader
{
    /// <summary>Files with this ending must be what it says; all others are bytes.</summary>
    private const string SafetensorsEnding = ".safetensors";

    /// <exception cref="NodeException"><see cref="NodeError.Integrity"/>: a safetensors header is malformed, or a file changed while it was hashed.</exception>
    /// <exception cref="StoreException">A file cannot be read.</exception>
    public static async Task<IReadOnlyList<PublishedFile>> ReadAsync(
        IReadOnlyList<CheckpointFile> files, int maxShardBytes, IProgress<PublishProgress>? progress, CancellationToken cancellationToken)
    {
        var total = files.Sum(file => file.Size);
        var done = 0L;
        var read = new List<PublishedFile>(files.Count);
        foreach (var file in files)
        {
            var before = done;
            var relay = progress is null ? null : new ProgressRelay<long>(bytes => progress.Report(new PublishProgress(PublishStages.Hashing, before + bytes, total)));
            read.Add(await ReadAsync(file, maxShardBytes, relay, cancellationToken).ConfigureAwait(false));
            done += file.Size;
        }

        return read;
    }

    private static async Task<PublishedFile> ReadAsync(CheckpointFile file, int maxShardBytes, IProgress<long>? progress, CancellationToken cancellationToken)
    {
        using var handle = CheckpointFiles.OpenRead(file);
        var identity = FileIdentity.Of(handle);
        var header = file.Path.EndsWith(SafetensorsEnding, StringComparison.OrdinalIgnoreCase) ? ReadHeader(file, handle, identity.Size) : null;
        var lengths = header is null
            ? CuttingPlanner.CutPlain(identity.Size, maxShardBytes)
            : CuttingPlanner.CutSafetensors(header, identity.Size, maxShardBytes);
        try
        {
            var shards = await FileHasher.HashAsync(handle, file.FullPath, identity, lengths, onExtent: null, progress, cancellationToken).ConfigureAwait(false);
            return new PublishedFile(file, identity, Extents(shards), header?.Tensors ?? []);
        }
        catch (StoreException e) when (e.Error == StoreError.NotAllowed)
        {
            throw new NodeException(NodeError.Integrity, e.Message, e);
        }
    }

    private static SafetensorsHeader ReadHeader(CheckpointFile file, SafeFileHandle handle, long size)
    {
        try
        {
            return SafetensorsHeader.Read(handle, size);
        }
        catch (SafetensorsException e)
        {
            throw new NodeException(NodeError.Integrity, $"{file.FullPath} is not a sound safetensors file: {e.Message}; nothing was published, write the file again or take it out of the folder", e);
        }
    }

    private static ImmutableArray<FileExtent> Extents(ImmutableArray<ShardInfo> shards)
    {
        var offset = 0L;
        var extents = ImmutableArray.CreateBuilder<FileExtent>(shards.Length);
        foreach (var shard in shards)
        {
            extents.Add(new FileExtent(shard, offset));
            offset += shard.Size;
        }

        return extents.MoveToImmutable();
    }
}
