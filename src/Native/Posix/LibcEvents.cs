using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace P2PWeights.Native.Posix;

/// <summary>Imports for waiting on file descriptors.</summary>
internal static unsafe partial class Libc
{
    // poll.h
    public const short POLLIN = 1;

    // sys/eventfd.h: the same bits as O_CLOEXEC and O_NONBLOCK
    public const int EFD_CLOEXEC = 0x80000;
    public const int EFD_NONBLOCK = 0x800;

    // fcntl.h
    public const int F_GETFL = 3;
    public const int F_SETFL = 4;

    [LibraryImport(Library, SetLastError = true)]
    public static partial int poll(PollDescriptor* descriptors, nuint count, int timeoutMs);

    [LibraryImport(Library, SetLastError = true)]
    public static partial SafeFileHandle eventfd(uint initial, int flags);

    [LibraryImport(Library, SetLastError = true)]
    public static partial int fcntl(int descriptor, int command, nint argument);

    [LibraryImport(Library, SetLastError = true)]
    public static partial nint read(SafeFileHandle file, void* buffer, nuint count);

    [LibraryImport(Library, SetLastError = true)]
    public static partial nint write(SafeFileHandle file, void* buffer, nuint count);

    /// <summary><c>struct pollfd</c> of poll.h.</summary>
    public struct PollDescriptor
    {
        public int fd;
        public short events;
        public short revents;
    }
}
