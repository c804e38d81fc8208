using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace P2PWeights.Native.Posix;

/// <summary>Files to sockets without a copy through this process.</summary>
public static unsafe class SocketFile
{
    /// <summary>Hands bytes of a file to a socket with sendfile(2), as many as the socket takes now. Waits for the disk when the bytes are not in the page cache, never for the socket.</summary>
    /// <param name="socket">A connected stream socket in non-blocking mode, as every socket of .NET is once it has been used asynchronously.</param>
    /// <returns>Bytes taken; 0 when the file ends at <paramref name="offset"/>; null when the socket takes nothing now.</returns>
    /// <exception cref="NativeException">The connection ended, or the file cannot be read.</exception>
    public static int? TrySend(SafeHandle socket, SafeFileHandle file, long offset, int count)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(count);
        while (true)
        {
            var position = offset;
            var sent = Libc.sendfile(socket, file, &position, (nuint)count);
            if (sent >= 0)
            {
                return (int)sent;
            }

            switch (Marshal.GetLastPInvokeError())
            {
                case Errno.Interrupted:
                    continue;
                case Errno.WouldBlock:
                    return null;
                default:
                    throw Libc.LastError(function: "sendfile");
            }
        }
    }
}
