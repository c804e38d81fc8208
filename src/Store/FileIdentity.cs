using Microsoft.Win32.SafeHandles;
using P2PWeights.Native.Posix;

namespace P2PWeights.Store;

/// <summary>What guards a file that somebody else owns: while these are equal, its bytes are taken to be unchanged (and are hashed once per start besides).</summary>
/// <param name="Device">st_dev.</param>
/// <param name="Inode">st_ino.</param>
/// <param name="Size">Bytes.</param>
/// <param name="ModifiedNs">mtime in nanoseconds since the epoch.</param>
public readonly record struct FileIdentity(ulong Device, ulong Inode, long Size, long ModifiedNs)
{
    /// <summary>The identity of an open file.</summary>
    /// <exception cref="IOException">fstat failed.</exception>
    public static FileIdentity Of(SafeFileHandle file)
    {
        var stat = PosixFile.Stat(file);
        return new FileIdentity(stat.Device, stat.Inode, stat.Size, stat.ModifiedNs);
    }
}
