namespace P2PWeights.Native.Posix;

/// <summary>What a name in a folder stands for.</summary>
public enum FileKind
{
    /// <summary>A socket, FIFO or device.</summary>
    Special,
    Regular,
    Folder,
    Symlink,
}

/// <summary>State of a file.</summary>
/// <param name="Kind">What it is.</param>
/// <param name="Device">st_dev.</param>
/// <param name="Inode">st_ino.</param>
/// <param name="Size">Bytes.</param>
/// <param name="AllocatedBytes">Bytes that it takes on the disk; less than <paramref name="Size"/> when it has holes.</param>
/// <param name="ModifiedNs">mtime, nanoseconds since the epoch.</param>
/// <param name="Permissions">The permission bits of the mode, as chmod takes them.</param>
/// <param name="Owner">User id of its owner.</param>
public readonly record struct FileStat(
    FileKind Kind, ulong Device, ulong Inode, long Size, long AllocatedBytes, long ModifiedNs, uint Permissions, uint Owner)
{
    internal const uint WritePermissions = 0x92; // 0222
    private const uint OthersWrite = 2;
    private const uint Superuser = 0;

    /// <summary>Whether nobody has the permission to write (which the superuser does not need).</summary>
    public bool IsReadOnly => (Permissions & WritePermissions) == 0;

    /// <summary>
    /// Whether only those can write to it, or give others the permission to, who can do so to this process's own files: its user and the superuser (and the
    /// file's group, whose members the owner chose).
    /// </summary>
    public bool IsOfOwnUser => (Owner == Superuser || Owner == Libc.geteuid()) && (Permissions & OthersWrite) == 0;

    internal static FileStat From(in Statx statx) => new(
        (statx.Mode & 0xf000) switch // S_IFMT of sys/stat.h
        {
            0x8000 => FileKind.Regular,
            0x4000 => FileKind.Folder,
            0xa000 => FileKind.Symlink,
            _ => FileKind.Special,
        },
        statx.Device,
        statx.Inode,
        (long)statx.Size,
        (long)statx.Blocks * 512,
        (statx.ModifiedSeconds * 1_000_000_000) + statx.ModifiedNanoseconds,
        statx.Mode & 0xfffu,
        statx.Owner);
}
