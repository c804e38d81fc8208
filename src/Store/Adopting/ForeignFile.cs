using Microsoft.Win32.SafeHandles;
using P2PWeights.Native.Posix;
using P2PWeights.Store.Memory;

namespace P2PWeights.Store.Adopting;

/// <summary>
/// A file of another node on this host, open for reading. Nothing that the other node said of it is believed: the path must lead, without a symlink in last place, to
/// a regular file that this process may read, that has the identity named, and that is no arena: what lies there moves without a trace in the identity.
/// </summary>
public sealed class ForeignFile : IDisposable
{
    private ForeignFile(string path, FileIdentity identity, SafeFileHandle handle, bool isOfOwnUser) =>
        (Path, Identity, Handle, IsOfOwnUser) = (path, identity, handle, isOfOwnUser);

    public string Path { get; }

    /// <summary>The identity of the file that is open, at the moment of opening.</summary>
    public FileIdentity Identity { get; }

    /// <summary>The open file; owned by this.</summary>
    public SafeFileHandle Handle { get; }

    /// <summary>
    /// Whether nobody can write to the file who could not write to this store's own files. Only then may it be held where it lies: another user could change it after it was
    /// hashed, and set its mtime back.
    /// </summary>
    public bool IsOfOwnUser { get; }

    /// <summary>Opens a file of another node.</summary>
    /// <param name="path">As the other node said it: untrusted.</param>
    /// <param name="problem">Why there is no such file, one clause for people; null when it is open.</param>
    /// <param name="isWritten">Whether somebody is still writing other parts of it: then its mtime may be another by now.</param>
    public static ForeignFile? TryOpen(string path, FileIdentity identity, bool isWritten, out string? problem)
    {
        if (!IsPlain(path))
        {
            problem = "it named a file by a path that is not absolute and plain";
            return null;
        }

        SafeFileHandle? handle = null;
        try
        {
            handle = PosixFile.OpenRead(path, followSymlinks: false);
            var found = FileIdentity.Of(handle);
            var isNamed = isWritten ? (found.Device, found.Inode, found.Size) == (identity.Device, identity.Inode, identity.Size) : found == identity;
            if (isNamed && !Arena.IsArena(handle))
            {
                problem = null;
                return new ForeignFile(path, found, handle, PosixFile.Stat(handle).IsOfOwnUser);
            }

            problem = isNamed ? $"{path} is an arena, which it did not prove to be its own" : $"{path} is another file here, or has been changed";
        }
        catch (IOException failure)
        {
            problem = failure.Message;
        }

        handle?.Dispose();
        return null;
    }

    public void Dispose() => Handle.Dispose();

    /// <summary>Whether a path is the one way to spell what it names, as far as text goes: absolute, without <c>.</c>, <c>..</c>, or a slash too many.</summary>
    internal static bool IsPlain(string path) =>
        System.IO.Path.IsPathFullyQualified(path) && !path.Contains('\0', StringComparison.Ordinal) && System.IO.Path.GetFullPath(path) == path;
}
