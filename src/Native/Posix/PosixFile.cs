using System.Diagnostics;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace P2PWeights.Native.Posix;

/// <summary>What .NET's file API leaves out: allocation, holes, folder sync, locks, identities, opening without following links.</summary>
/// <remarks>Every method throws <see cref="NativeException"/> with the errno when the call fails, unless it says otherwise.</remarks>
public static unsafe class PosixFile
{
    /// <summary>
    /// For how long a lock that was given back may still be held: a child process that another thread is just starting has every file of this one open, and with them their
    /// locks, until it executes its program (flock(2), fork(2)).
    /// </summary>
    public static readonly TimeSpan ForkPatience = TimeSpan.FromMilliseconds(500);

    /// <summary>
    /// Reserves disk blocks for a range, so that later writes to it cannot run out of space, and extends the file to the end of the range.
    /// What the file held stays; the rest reads as zeros.
    /// </summary>
    /// <returns>False when the file system cannot reserve: then the file is extended only, and a later write may still find the disk full.</returns>
    /// <exception cref="NativeException">The disk is full (<see cref="Errno.IsDiskFull"/>): the file may have been extended by a part of the range. Or another failure.</exception>
    public static bool Allocate(SafeFileHandle file, long offset, long length)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(length);
        while (Libc.fallocate(file, 0, offset, length) != 0)
        {
            switch (Marshal.GetLastPInvokeError())
            {
                case Errno.Interrupted:
                    continue;
                case Errno.NotSupported or Errno.NotImplemented:
                    if (RandomAccess.GetLength(file) < offset + length)
                    {
                        RandomAccess.SetLength(file, offset + length);
                    }

                    return false;
                default:
                    throw Libc.LastError(function: "fallocate");
            }
        }

        return true;
    }

    /// <summary>Makes the names in a folder durable: files created, renamed or removed in it survive a power cut from now on.</summary>
    public static void SyncFolder(string path)
    {
        using var folder = OpenFolder(path);
        Sync(folder, path);
    }

    /// <summary>The first offset at or after <paramref name="offset"/> that holds data, not a hole; null when only a hole follows. A file system without holes answers <paramref name="offset"/>.</summary>
    public static long? SeekData(SafeFileHandle file, long offset)
    {
        var found = Libc.lseek(file, offset, Libc.SEEK_DATA);
        return found >= 0 ? found : Marshal.GetLastPInvokeError() == Errno.NoDataThere ? null : throw Libc.LastError(function: "lseek");
    }

    /// <summary>State of an open file.</summary>
    public static FileStat Stat(SafeFileHandle file)
    {
        Statx result;
        return Libc.statxat(file, "", Libc.AT_EMPTY_PATH, Statx.BasicStats, &result) == 0 ? FileStat.From(result) : throw Libc.LastError(function: "statx");
    }

    /// <summary>State of what lies at a path; null when nothing does.</summary>
    /// <param name="followSymlinks">Whether a symlink in last place stands for its target, else for itself.</param>
    public static FileStat? TryStat(string path, bool followSymlinks)
    {
        Statx result;
        if (Libc.statx(Libc.AT_FDCWD, path, followSymlinks ? 0 : Libc.AT_SYMLINK_NOFOLLOW, Statx.BasicStats, &result) == 0)
        {
            return FileStat.From(result);
        }

        return Marshal.GetLastPInvokeError() is Errno.NotFound or Errno.NotAFolder ? null : throw Libc.LastError(path, "statx");
    }

    /// <summary>
    /// Opens a regular file for reading. What the path leads to is looked at before it is opened: a FIFO does not block the call, and a device, to which the mere opening
    /// may do something, is not touched.
    /// </summary>
    /// <param name="followSymlinks">Whether a symlink in last place is followed. When not, it fails with <see cref="Errno.SymlinkLoop"/>.</param>
    /// <exception cref="NativeException">The open failed, or the file is not a regular one (<see cref="Errno.Invalid"/>).</exception>
    public static SafeFileHandle OpenRead(string path, bool followSymlinks)
    {
        using var found = Libc.open(path, Libc.O_PATH | Libc.O_CLOEXEC | (followSymlinks ? 0 : Libc.O_NOFOLLOW), 0);
        if (found.IsInvalid)
        {
            throw Libc.LastError(path, "open");
        }

        switch (Stat(found).Kind)
        {
            case FileKind.Regular:
                break;
            case FileKind.Symlink:
                throw Libc.Error(Errno.SymlinkLoop, path, "open");
            default:
                throw NotRegular(path);
        }

        var file = Libc.open(PathOf(found), Libc.O_RDONLY | Libc.O_NONBLOCK | Libc.O_CLOEXEC, 0);
        return file.IsInvalid ? throw Libc.LastError(path, "open") : file;
    }

    /// <summary>
    /// Gives an open file another name, a hard link: of this very file, whatever its path leads to by now (linkat(2), through /proc).
    /// </summary>
    /// <returns>False when the link cannot be made there: another file system, too many links, a file of another user, or the file has no name left.</returns>
    /// <exception cref="NativeException">The name is taken (<see cref="Errno.Exists"/>), or the folder cannot be written to.</exception>
    public static bool TryLink(SafeFileHandle file, string path)
    {
        var counted = false;
        var error = 0;
        try
        {
            file.DangerousAddRef(ref counted);
            if (Libc.linkat(Libc.AT_FDCWD, PathOf(file), Libc.AT_FDCWD, path, Libc.AT_SYMLINK_FOLLOW) != 0)
            {
                error = Marshal.GetLastPInvokeError();
            }
        }
        finally
        {
            if (counted)
            {
                file.DangerousRelease();
            }
        }

        return error switch
        {
            0 => true,
            Errno.OtherFileSystem or Errno.NotPermitted or Errno.NotSupported or Errno.TooManyLinks or Errno.NotFound => false,
            _ => throw Libc.Error(error, path, "linkat"),
        };
    }

    /// <summary>Takes the permission to write away from everybody. Handles that are open stay as they are.</summary>
    public static void ForbidWriting(SafeFileHandle file)
    {
        if (Libc.fchmod(file, Stat(file).Permissions & ~FileStat.WritePermissions) != 0)
        {
            throw Libc.LastError(function: "fchmod");
        }
    }

    /// <summary>
    /// Takes the lock file at a path, creating it when missing. The lock ends with the handle, at the latest with the process; children do not inherit it.
    /// The file stays: removing it would let two holders in.
    /// </summary>
    /// <param name="patience">For how long a lock that somebody has is asked for again, <see cref="ForkPatience"/> say. The calling thread sleeps meanwhile.</param>
    /// <returns>The holder, to be disposed; null when another holder has it, in this process or another.</returns>
    public static SafeFileHandle? TryLockExclusive(string path, TimeSpan patience = default)
    {
        var file = Libc.open(path, Libc.O_RDWR | Libc.O_CREAT | Libc.O_CLOEXEC, 0x1b4 /* 0664 */);
        if (file.IsInvalid)
        {
            throw Libc.LastError(path, "open");
        }

        return LockOrDispose(file, path, patience);
    }

    /// <summary>Locks a regular file as <see cref="TryLockExclusive"/> does, but neither makes one nor follows a symlink in last place.</summary>
    /// <returns>The holder, to be disposed; null when another holder has it.</returns>
    /// <exception cref="NativeException">See <see cref="OpenRead"/>; above all, there is no such file.</exception>
    public static SafeFileHandle? TryLockExisting(string path) => LockOrDispose(OpenRead(path, followSymlinks: false), path, patience: default);

    /// <summary>
    /// Lets go of a lock and closes its file. To close it is not enough where others do not wait: a child process that is just being started has the file open for a moment too
    /// (see <see cref="ForkPatience"/>), and the lock would last as long.
    /// </summary>
    public static void Unlock(SafeFileHandle file)
    {
        if (!file.IsClosed)
        {
            _ = Libc.flock(file, Libc.LOCK_UN); // a lock that cannot be given back ends with the file
        }

        file.Dispose();
    }

    /// <summary>The absolute path without symlinks, <c>.</c> and <c>..</c>.</summary>
    public static string RealPath(string path)
    {
        var resolved = Libc.realpath(path, 0);
        if (resolved == 0)
        {
            throw Libc.LastError(path, "realpath");
        }

        try
        {
            return Marshal.PtrToStringUTF8(resolved)!;
        }
        finally
        {
            NativeMemory.Free((void*)resolved);
        }
    }

    /// <summary>Bytes that an ordinary user may still write to the file system that holds <paramref name="path"/>.</summary>
    /// <exception cref="IOException">The path is not there.</exception>
    public static long FreeBytes(string path) => new DriveInfo(path).AvailableFreeSpace;

    internal static SafeFileHandle OpenFolder(string path)
    {
        var folder = Libc.open(path, Libc.O_RDONLY | Libc.O_DIRECTORY | Libc.O_CLOEXEC, 0);
        return folder.IsInvalid ? throw Libc.LastError(path, "open") : folder;
    }

    internal static void Sync(SafeFileHandle file, string subject)
    {
        while (Libc.fsync(file) != 0)
        {
            if (Marshal.GetLastPInvokeError() != Errno.Interrupted)
            {
                throw Libc.LastError(subject, "fsync");
            }
        }
    }

    private static SafeFileHandle? LockOrDispose(SafeFileHandle file, string path, TimeSpan patience)
    {
        try
        {
            if (TryFlock(file, path, patience))
            {
                return file;
            }
        }
        catch
        {
            file.Dispose();
            throw;
        }

        file.Dispose();
        return null;
    }

    internal static bool TryFlock(SafeFileHandle file, string subject, TimeSpan patience)
    {
        var started = Stopwatch.GetTimestamp();
        while (Libc.flock(file, Libc.LOCK_EX | Libc.LOCK_NB) != 0)
        {
            switch (Marshal.GetLastPInvokeError())
            {
                case Errno.Interrupted:
                    continue;
                case Errno.WouldBlock when Stopwatch.GetElapsedTime(started) < patience:
                    Thread.Sleep(TimeSpan.FromMilliseconds(10));
                    continue;
                case Errno.WouldBlock:
                    return false;
                default:
                    throw Libc.LastError(subject, "flock");
            }
        }

        return true;
    }

    internal static SafeFileHandle RequireRegular(SafeFileHandle file, string path)
    {
        FileKind kind;
        try
        {
            kind = Stat(file).Kind;
        }
        catch
        {
            file.Dispose();
            throw;
        }

        if (kind == FileKind.Regular)
        {
            return file;
        }

        file.Dispose();
        throw NotRegular(path);
    }

    /// <summary>A path that leads to an open file, whatever has become of its name (proc(5)). The caller keeps it open.</summary>
    private static string PathOf(SafeFileHandle file) => $"/proc/self/fd/{file.DangerousGetHandle()}";

    private static NativeException NotRegular(string path) => new("libc", "open", Errno.Invalid, "not a regular file", path);
}
