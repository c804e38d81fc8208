using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace P2PWeights.Native.Posix;

/// <summary>How <see cref="FolderHandle.OpenFile"/> opens.</summary>
public enum FileOpening
{
    /// <summary>An existing file, to read.</summary>
    Read,

    /// <summary>An existing file, to read and write.</summary>
    ReadWrite,

    /// <summary>A new file, to read and write; fails when the name is taken.</summary>
    Create,
}

/// <summary>
/// An open folder. Everything below it is reached one name at a time with <c>openat</c> and <c>O_NOFOLLOW</c>, so a symlink, even one planted a moment ago,
/// leads nowhere: it fails with <see cref="Errno.SymlinkLoop"/> or <see cref="Errno.NotAFolder"/>. Relative paths are separated by <c>/</c> and have no
/// empty, <c>.</c> or <c>..</c> parts. Thread-safe.
/// </summary>
public sealed class FolderHandle : IDisposable
{
    // What a user would get from mkdir and a plain open; the umask takes away from it.
    private const uint FolderMode = 0x1ff; // 0777
    private const uint FileMode = 0x1b6; // 0666

    private readonly SafeFileHandle _folder;

    private FolderHandle(string path, SafeFileHandle folder) => (Path, _folder) = (path, folder);

    /// <summary>The path given to <see cref="Open"/>, for messages.</summary>
    public string Path { get; }

    /// <summary>Opens a folder. Links in <paramref name="path"/> itself are followed: it is the user's own choice.</summary>
    /// <exception cref="NativeException">Missing, not a folder, or not accessible.</exception>
    public static FolderHandle Open(string path) => new(path, PosixFile.OpenFolder(path));

    /// <summary>Locks the folder against every other caller of this method until this handle is disposed.</summary>
    /// <param name="patience">As of <see cref="PosixFile.TryLockExclusive"/>.</param>
    /// <returns>False when somebody else has it. True also where the file system has no locks for folders.</returns>
    public bool TryLock(TimeSpan patience = default)
    {
        try
        {
            return PosixFile.TryFlock(_folder, Path, patience);
        }
        catch (NativeException)
        {
            // Locks on folders are unknown to some network file systems; a pull there is not worse off than without locks.
            return true;
        }
    }

    /// <summary>Opens or creates a regular file below the folder.</summary>
    /// <returns>The file; null when it, or a folder on the way to it, is not there.</returns>
    /// <exception cref="NativeException">A symlink on the way, not a regular file, or another failure.</exception>
    public SafeFileHandle? OpenFile(string relative, FileOpening opening)
    {
        using var parent = OpenParent(relative, out var name);
        if (parent is null)
        {
            return null;
        }

        var flags = Libc.O_CLOEXEC | Libc.O_NOFOLLOW | Libc.O_NONBLOCK | opening switch
        {
            FileOpening.Read => Libc.O_RDONLY,
            FileOpening.ReadWrite => Libc.O_RDWR,
            _ => Libc.O_RDWR | Libc.O_CREAT | Libc.O_EXCL,
        };
        var file = Libc.openat(parent, name, flags, FileMode);
        if (!file.IsInvalid)
        {
            return PosixFile.RequireRegular(file, Full(relative));
        }

        return Marshal.GetLastPInvokeError() == Errno.NotFound ? null : throw Libc.LastError(Full(relative), "openat");
    }

    /// <summary>Creates a folder and those on the way to it; those that are there stay.</summary>
    /// <exception cref="NativeException">A symlink or a file on the way, or another failure.</exception>
    public void CreateFolder(string relative)
    {
        var names = Names(relative);
        var folder = OpenSelf();
        try
        {
            foreach (var name in names)
            {
                if (Libc.mkdirat(folder, name, FolderMode) != 0 && Marshal.GetLastPInvokeError() != Errno.Exists)
                {
                    throw Libc.LastError(Full(relative), "mkdirat");
                }

                var next = Descend(folder, name, relative) ?? throw Libc.Error(Errno.NotFound, Full(relative), "openat");
                folder.Dispose();
                folder = next;
            }
        }
        finally
        {
            folder.Dispose();
        }
    }

    /// <summary>State of what lies below the folder, a symlink standing for itself; null when nothing does.</summary>
    public unsafe FileStat? TryStat(string relative)
    {
        using var parent = OpenParent(relative, out var name);
        if (parent is null)
        {
            return null;
        }

        Statx result;
        if (Libc.statxat(parent, name, Libc.AT_SYMLINK_NOFOLLOW, Statx.BasicStats, &result) == 0)
        {
            return FileStat.From(result);
        }

        return Marshal.GetLastPInvokeError() == Errno.NotFound ? null : throw Libc.LastError(Full(relative), "statx");
    }

    /// <summary>Renames a file within its folder. What has the new name already stays, and the call fails with <see cref="Errno.Exists"/>.</summary>
    /// <exception cref="NativeException">See above; or the old name is not there.</exception>
    public void Rename(string relative, string newName)
    {
        using var parent = OpenParent(relative, out var name) ?? throw Libc.Error(Errno.NotFound, Full(relative), "renameat2");
        if (Libc.renameat2(parent, name, parent, newName, Libc.RENAME_NOREPLACE) == 0)
        {
            return;
        }

        // Some network file systems do not know the flag; there the look before the leap has to do.
        if (Marshal.GetLastPInvokeError() is not (Errno.Invalid or Errno.NotImplemented))
        {
            throw Libc.LastError(Full(relative), "renameat2");
        }

        var newRelative = relative[..^name.Length] + newName;
        if (TryStat(newRelative) is not null)
        {
            throw Libc.Error(Errno.Exists, Full(newRelative), "renameat");
        }

        if (Libc.renameat(parent, name, parent, newName) != 0)
        {
            throw Libc.LastError(Full(relative), "renameat");
        }
    }

    /// <summary>Removes a file; a missing one is fine.</summary>
    public void Delete(string relative)
    {
        using var parent = OpenParent(relative, out var name);
        if (parent is not null && Libc.unlinkat(parent, name, 0) != 0 && Marshal.GetLastPInvokeError() != Errno.NotFound)
        {
            throw Libc.LastError(Full(relative), "unlinkat");
        }
    }

    /// <summary>Makes the names in a folder durable; the folder itself for an empty path.</summary>
    public void SyncFolder(string relative)
    {
        if (relative.Length == 0)
        {
            PosixFile.Sync(_folder, Path);
            return;
        }

        using var parent = OpenParent(relative, out var name);
        using var folder = parent is null ? null : Descend(parent, name, relative);
        PosixFile.Sync(folder ?? throw Libc.Error(Errno.NotFound, Full(relative), "openat"), Full(relative));
    }

    public void Dispose() => _folder.Dispose();

    private static string[] Names(string relative)
    {
        var names = relative.Split('/');
        return names.Any(name => name is "" or "." or "..") ? throw new ArgumentException($"'{relative}' is not a plain relative path", nameof(relative)) : names;
    }

    private string Full(string relative) => System.IO.Path.Combine(Path, relative);

    private SafeFileHandle OpenSelf() =>
        Descend(_folder, ".", "") ?? throw Libc.Error(Errno.NotFound, Path, "openat");

    /// <summary>The folder that holds the last name of a path; null when it is not there.</summary>
    private SafeFileHandle? OpenParent(string relative, out string name)
    {
        var names = Names(relative);
        name = names[^1];
        var folder = OpenSelf();
        foreach (var part in names.AsSpan(0, names.Length - 1))
        {
            using var current = folder;
            if (Descend(current, part, relative) is not { } next)
            {
                return null;
            }

            folder = next;
        }

        return folder;
    }

    private SafeFileHandle? Descend(SafeFileHandle folder, string name, string relative)
    {
        var next = Libc.openat(folder, name, Libc.O_RDONLY | Libc.O_DIRECTORY | Libc.O_NOFOLLOW | Libc.O_CLOEXEC, 0);
        if (!next.IsInvalid)
        {
            return next;
        }

        return Marshal.GetLastPInvokeError() == Errno.NotFound ? null : throw Libc.LastError(Full(relative), "openat");
    }
}
