using P2PWeights.Store.Content;

namespace P2PWeights.Store.Folders;

/// <summary>
/// A folder that becomes, or is, the files of one checkpoint. Unfinished files are named <c>NAME.MANIFEST.partial</c> (MANIFEST: first 16 hex digits of the
/// manifest's digest), so an unfinished pull is recognised without any other state. Shards are written at their final offsets.
/// </summary>
public sealed class CheckpointFolder : IAsyncDisposable
{
    private CheckpointFolder() => throw new NotImplementedException();

    /// <summary>
    /// Opens a target: missing, empty, or the unfinished or finished pull of the same checkpoint. Never follows a symlink inside the folder.
    /// </summary>
    /// <exception cref="StoreException"><see cref="StoreError.NotAllowed"/>: something else is there; the message names it.</exception>
    public static CheckpointFolder Open(string path, Manifest manifest) => throw new NotImplementedException();

    public string Path => throw new NotImplementedException();

    public Manifest Manifest => throw new NotImplementedException();

    /// <summary>Hashes what is already there. Returns, per shard ordinal, whether all its places hold its bytes.</summary>
    /// <param name="progress">Bytes hashed so far.</param>
    /// <exception cref="StoreException"><see cref="StoreError.NotAllowed"/>: a finished file differs from the manifest; it is not overwritten.</exception>
    public Task<bool[]> ScanAsync(IProgress<long>? progress, CancellationToken cancellationToken) => throw new NotImplementedException();

    /// <summary>Syncs and renames every file to its final name; then, and only then, the folder holds the checkpoint. All shards must be in place.</summary>
    public Task CompleteAsync(CancellationToken cancellationToken) => throw new NotImplementedException();

    /// <summary>Closes the files; unfinished ones stay for a later pull.</summary>
    public ValueTask DisposeAsync() => throw new NotImplementedException();

    /// <summary>Compares a folder with a manifest without changing it: every missing, foreign and differing file, and every differing extent.</summary>
    public static Task<IReadOnlyList<FolderDifference>> CompareAsync(string path, Manifest manifest, IProgress<long>? progress, CancellationToken cancellationToken) => throw new NotImplementedException();
}

/// <summary>One way in which a folder differs from a manifest.</summary>
/// <param name="Path">File, relative to the folder.</param>
/// <param name="Kind">missing, foreign, size, or bytes.</param>
/// <param name="Offset">Start of the differing extent; -1 when the whole file is meant.</param>
/// <param name="Length">Bytes of the extent; -1 when the whole file is meant.</param>
/// <param name="Detail">A sentence for people.</param>
public sealed record FolderDifference(string Path, DifferenceKind Kind, long Offset, long Length, string Detail);

/// <summary>How a file differs.</summary>
public enum DifferenceKind
{
    Missing,
    Foreign,
    Size,
    Bytes,
}
