namespace P2PWeights.Native.Posix;

/// <summary>The errno values that callers tell apart. Numbers: Linux <c>asm-generic/errno-base.h</c> and <c>errno.h</c>, equal on x86-64 and arm64.</summary>
public static class Errno
{
    public const int NotPermitted = 1; // EPERM
    public const int NotFound = 2; // ENOENT
    public const int NoSuchProcess = 3; // ESRCH
    public const int Interrupted = 4; // EINTR
    public const int InputOutput = 5; // EIO
    public const int NoDataThere = 6; // ENXIO
    public const int WouldBlock = 11; // EAGAIN
    public const int NoMemory = 12; // ENOMEM
    public const int AccessDenied = 13; // EACCES
    public const int Exists = 17; // EEXIST
    public const int OtherFileSystem = 18; // EXDEV
    public const int NoSuchDevice = 19; // ENODEV
    public const int NotAFolder = 20; // ENOTDIR
    public const int IsAFolder = 21; // EISDIR
    public const int Invalid = 22; // EINVAL
    public const int SystemFileTableFull = 23; // ENFILE
    public const int TooManyOpenFiles = 24; // EMFILE
    public const int NoSpace = 28; // ENOSPC
    public const int ReadOnlyFileSystem = 30; // EROFS
    public const int TooManyLinks = 31; // EMLINK
    public const int NotImplemented = 38; // ENOSYS
    public const int SymlinkLoop = 40; // ELOOP: a loop, or a symlink where none may be followed
    public const int NotSupported = 95; // EOPNOTSUPP
    public const int QuotaExceeded = 122; // EDQUOT

    /// <summary>The errno behind a failure of this project or of .NET's own file calls, which carry it in HResult; 0 when there is none.</summary>
    public static int Of(Exception exception) => exception switch
    {
        NativeException native => native.Code,
        UnauthorizedAccessException => AccessDenied,
        FileNotFoundException or DirectoryNotFoundException => NotFound,
        IOException { HResult: > 0 and < 4096 } io => io.HResult,
        _ => 0,
    };

    /// <summary>Whether the file system, or the user's quota on it, had no room.</summary>
    public static bool IsDiskFull(Exception exception) => Of(exception) is NoSpace or QuotaExceeded;

    /// <summary>Whether this process, or the machine, was short of file handles or memory: it says nothing of the file that was asked for.</summary>
    public static bool IsShortage(Exception exception) => Of(exception) is NoMemory or SystemFileTableFull or TooManyOpenFiles;
}
