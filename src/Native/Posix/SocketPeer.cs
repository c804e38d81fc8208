using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace P2PWeights.Native.Posix;

/// <summary>Who is at the other end of a Unix socket.</summary>
public static class SocketPeer
{
    // asm-generic/socket.h
    private const int SOL_SOCKET = 1;
    private const int SO_PEERCRED = 17;

    private const uint Superuser = 0;

    /// <summary>
    /// True when the process that connected is of this process's user, or of the superuser. An abstract socket has no permissions of its own: every local
    /// user can list and connect to it.
    /// </summary>
    /// <param name="user">The number of the other user.</param>
    /// <exception cref="SocketException">Not a connected Unix socket.</exception>
    public static bool IsOfOwnUser(Socket socket, out uint user)
    {
        // struct ucred, unix(7): pid, uid, gid.
        Span<uint> credentials = stackalloc uint[3];
        socket.GetRawSocketOption(SOL_SOCKET, SO_PEERCRED, MemoryMarshal.AsBytes(credentials));
        user = credentials[1];
        return user == Superuser || user == Libc.geteuid();
    }
}
