using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace P2PWeights.Native.Posix;

/// <summary>Imports from the C library, under their C names. Linux on 64-bit processors: <c>off_t</c> and <c>long</c> are 64 bits wide.</summary>
internal static unsafe partial class Libc
{
    private const string Library = "libc";

    // fcntl.h
    public const int O_RDONLY = 0;
    public const int O_RDWR = 2;
    public const int O_CREAT = 0x40;
    public const int O_EXCL = 0x80;
    public const int O_NONBLOCK = 0x800;
    public const int O_CLOEXEC = 0x80000;
    public const int O_PATH = 0x200000;
    public const int AT_FDCWD = -100;
    public const int AT_SYMLINK_NOFOLLOW = 0x100;
    public const int AT_SYMLINK_FOLLOW = 0x400;
    public const int AT_EMPTY_PATH = 0x1000;
    public const uint RENAME_NOREPLACE = 1;

    // linux/fs.h: _IOW(0x94, 13, struct file_clone_range)
    public const nuint FICLONERANGE = 0x4020940d;

    // sys/file.h
    public const int LOCK_EX = 2;
    public const int LOCK_NB = 4;
    public const int LOCK_UN = 8;

    // unistd.h
    public const int SEEK_DATA = 3;

    // sys/mman.h
    public const int PROT_READ = 1;
    public const int PROT_WRITE = 2;
    public const int MAP_SHARED = 1;
    public const int MAP_PRIVATE = 2;
    public const int MAP_ANONYMOUS = 0x20;
    public const int MADV_POPULATE_READ = 22;
    public const int MADV_POPULATE_WRITE = 23;

    // The two open flags whose values differ between processors: arm64 took over those of 32-bit Arm (asm/fcntl.h).
    public static readonly int O_DIRECTORY = IsArm ? 0x4000 : 0x10000;
    public static readonly int O_NOFOLLOW = IsArm ? 0x8000 : 0x20000;

    private static bool IsArm => RuntimeInformation.ProcessArchitecture == Architecture.Arm64;

    [LibraryImport(Library, SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial SafeFileHandle open(string path, int flags, uint mode);

    [LibraryImport(Library, SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial SafeFileHandle openat(SafeFileHandle folder, string path, int flags, uint mode);

    [LibraryImport(Library, SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int mkdirat(SafeFileHandle folder, string path, uint mode);

    [LibraryImport(Library, SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int unlinkat(SafeFileHandle folder, string path, int flags);

    [LibraryImport(Library, SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int renameat(SafeFileHandle oldFolder, string oldPath, SafeFileHandle newFolder, string newPath);

    [LibraryImport(Library, SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int renameat2(SafeFileHandle oldFolder, string oldPath, SafeFileHandle newFolder, string newPath, uint flags);

    [LibraryImport(Library, SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int linkat(int oldFolder, string oldPath, int newFolder, string newPath, int flags);

    [LibraryImport(Library, SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int statx(int folder, string path, int flags, uint mask, Statx* result);

    [LibraryImport(Library, EntryPoint = "statx", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int statxat(SafeFileHandle folder, string path, int flags, uint mask, Statx* result);

    [LibraryImport(Library, SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial nint realpath(string path, nint buffer);

    [LibraryImport(Library, SetLastError = true)]
    public static partial int fchmod(SafeFileHandle file, uint mode);

    [LibraryImport(Library, SetLastError = true)]
    public static partial int fsync(SafeFileHandle file);

    [LibraryImport(Library, SetLastError = true)]
    public static partial int fallocate(SafeFileHandle file, int mode, long offset, long length);

    [LibraryImport(Library, SetLastError = true)]
    public static partial int ioctl(SafeFileHandle file, nuint request, FileCloneRange* argument);

    [LibraryImport(Library, SetLastError = true)]
    public static partial nint copy_file_range(SafeFileHandle source, long* sourceOffset, SafeFileHandle destination, long* destinationOffset, nuint length, uint flags);

    [LibraryImport(Library, SetLastError = true)]
    public static partial long lseek(SafeFileHandle file, long offset, int whence);

    [LibraryImport(Library, SetLastError = true)]
    public static partial nint sendfile(SafeHandle socket, SafeFileHandle file, long* offset, nuint count);

    [LibraryImport(Library, SetLastError = true)]
    public static partial int flock(SafeFileHandle file, int operation);

    [LibraryImport(Library, SetLastError = true)]
    public static partial nint mmap(nint address, nuint length, int protection, int flags, SafeFileHandle file, long offset);

    [LibraryImport(Library, EntryPoint = "mmap", SetLastError = true)]
    public static partial nint mmapAnonymous(nint address, nuint length, int protection, int flags, int noFile, long offset);

    [LibraryImport(Library, SetLastError = true)]
    public static partial int munmap(nint address, nuint length);

    [LibraryImport(Library, SetLastError = true)]
    public static partial int madvise(nint address, nuint length, int advice);

    /// <param name="duration">A <c>struct timespec</c>: seconds, then nanoseconds.</param>
    [LibraryImport(Library)]
    public static partial int nanosleep(long* duration, nint remaining);

    [LibraryImport(Library)]
    public static partial uint geteuid();

    [LibraryImport(Library, SetLastError = true)]
    public static partial int kill(int process, int signal);

    /// <summary>The exception for the call that just failed on this thread.</summary>
    public static NativeException LastError(string? subject = null, [CallerMemberName] string function = "") =>
        Error(Marshal.GetLastPInvokeError(), subject, function);

    /// <summary>The exception for an errno that is known already.</summary>
    public static NativeException Error(int code, string? subject, string function) =>
        new(Library, function, code, Marshal.GetPInvokeErrorMessage(code), subject);
}
