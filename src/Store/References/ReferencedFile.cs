using P2PWeights.Native.Posix;

namespace P2PWeights.Store.References;

/// <summary>
/// A file that somebody else owns and that holds shards. A finished file is guarded by its identity. An unfinished one is being pulled by this process: its mtime moves
/// with every write, so it is guarded by the handle that was opened when its first shard was written, which also follows it through its final rename.
/// </summary>
/// <param name="Id">Number by which records of the index name the file.</param>
/// <param name="Path">Full path.</param>
/// <param name="Identity">The file as it was hashed.</param>
/// <param name="Unfinished">The open file while it is being pulled; null otherwise.</param>
internal sealed record ReferencedFile(int Id, string Path, FileIdentity Identity, SharedFile? Unfinished)
{
    /// <summary>The shards in the file. Changed under the lock of <see cref="ReferencedFileTable"/>.</summary>
    public HashSet<FileExtent> Extents { get; } = [];

    /// <summary>Whether the path still leads to the file with the identity that it had.</summary>
    public bool IsUnchanged() => IdentityAt(Path) == Identity;

    /// <summary>Whether the path still leads to this file: unchanged, when it is a finished one; the same inode, when it is unfinished.</summary>
    public bool IsCurrent() => Unfinished is null ? IsUnchanged() : IdentityAt(Path)?.IsSameInode(Identity) == true;

    /// <summary>Identity of the file that a path leads to now; null when there is none or it cannot be reached.</summary>
    public static FileIdentity? IdentityAt(string path)
    {
        try
        {
            return PosixFile.TryStat(path, followSymlinks: true) is { Kind: FileKind.Regular } stat
                ? new FileIdentity(stat.Device, stat.Inode, stat.Size, stat.ModifiedNs)
                : null;
        }
        catch (Exception failure) when (StoreFailure.IsOfFileSystem(failure))
        {
            return null;
        }
    }
}
