using System.Buffers.Binary;
using System.Net.Sockets;

namespace P2PWeights.Transfer.Connections;

/// <summary>What the kernel measured of a TCP connection: <c>struct tcp_info</c> of Linux, <c>linux/tcp.h</c>, as <c>getsockopt(IPPROTO_TCP, TCP_INFO)</c> gives it.</summary>
internal static class TcpInfo
{
    private const int Protocol = 6; // IPPROTO_TCP
    private const int Option = 11; // TCP_INFO
    private const int MinRttOffset = 148; // tcpi_min_rtt, u32, microseconds; there since Linux 4.6
    private const uint NoSample = uint.MaxValue;

    /// <summary>
    /// The shortest round trip seen in the last minutes (tcp_min_rtt_wlen): the line's own time, without what waits in queues. Null while nothing was measured, on a closed connection,
    /// and where the kernel does not tell.
    /// </summary>
    public static TimeSpan? RoundTrip(Socket socket)
    {
        Span<byte> info = stackalloc byte[MinRttOffset + sizeof(uint)];
        try
        {
            if (!OperatingSystem.IsLinux() || socket.GetRawSocketOption(Protocol, Option, info) < info.Length)
            {
                return null;
            }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            return null;
        }

        var microseconds = BinaryPrimitives.ReadUInt32LittleEndian(info[MinRttOffset..]);
        return microseconds == NoSample ? null : TimeSpan.FromMicroseconds((long)microseconds);
    }
}
