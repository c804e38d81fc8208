using System.Net;
using System.Net.Sockets;

namespace P2PWeights.Tracker.Discovery.Network;

/// <summary>
/// A socket on port 5353, which it shares with any other responder of the machine, avahi say: each gets every multicast packet (RFC 6762 section 15). Sending is for one caller at a time.
/// </summary>
internal sealed class MulticastSocket : IDisposable
{
    /// <summary>Longest packet of multicast DNS, headers included (RFC 6762 section 17).</summary>
    public const int MaxPacketBytes = 9000;

    // linux/in.h, linux/in6.h and asm-generic/socket.h. By the numbers, because the runtime gives SO_REUSEADDR a meaning of its own.
    private const int SolSocket = 1;
    private const int SoReuseAddress = 2;
    private const int SoReusePort = 15;
    private const int IpProtoIp = 0;
    private const int IpMulticastAll = 49;
    private const int IpProtoIpv6 = 41;
    private const int Ipv6UnicastHops = 16;
    private const int Ipv6MulticastAll = 29;

    /// <summary>All packets have this hop limit (RFC 6762 section 11).</summary>
    private const int HopLimit = 255;

    private static readonly IPAddress Group4 = IPAddress.Parse("224.0.0.251");
    private static readonly IPAddress Group6 = IPAddress.Parse("ff02::fb");

    private readonly Socket _socket;
    private readonly HashSet<int> _joined = [];

    private MulticastSocket(Socket socket) => _socket = socket;

    /// <summary>Opens the socket of all links of a family, or the one that sends on loopback, where a packet gets a source address of loopback by no other means.</summary>
    /// <exception cref="SocketException">The family is not there, or the port is taken by somebody who does not share.</exception>
    public static MulticastSocket Open(AddressFamily family, bool loopback)
    {
        var socket = new Socket(family, SocketType.Dgram, ProtocolType.Udp);
        try
        {
            Set(socket, SolSocket, SoReuseAddress, 1);
            Set(socket, SolSocket, SoReusePort, 1);
            if (family == AddressFamily.InterNetwork)
            {
                Set(socket, IpProtoIp, IpMulticastAll, 0);
                socket.Ttl = HopLimit;
                socket.SetSocketOption(SocketOptionLevel.IP, SocketOptionName.MulticastTimeToLive, HopLimit);
                socket.SetSocketOption(SocketOptionLevel.IP, SocketOptionName.PacketInformation, true);
            }
            else
            {
                Set(socket, IpProtoIpv6, Ipv6MulticastAll, 0);
                Set(socket, IpProtoIpv6, Ipv6UnicastHops, HopLimit);
                socket.SetSocketOption(SocketOptionLevel.IPv6, SocketOptionName.MulticastTimeToLive, HopLimit);
                socket.SetSocketOption(SocketOptionLevel.IPv6, SocketOptionName.PacketInformation, true);
            }

            socket.Bind(new IPEndPoint(loopback ? IPAddress.Loopback : Any(family), MulticastDns.Port));
            return new MulticastSocket(socket);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    public AddressFamily Family => _socket.AddressFamily;

    /// <summary>Hears the group on these interfaces, and on no others any more.</summary>
    /// <returns>The interfaces where it could not be done, with the reason.</returns>
    public IReadOnlyList<(int Interface, string Reason)> Join(IReadOnlySet<int> interfaces)
    {
        List<(int, string)> failed = [];
        foreach (var index in _joined.Except(interfaces).ToList())
        {
            _joined.Remove(index);
            try
            {
                Membership(index, join: false);
            }
            catch (SocketException)
            {
                // The interface is gone, and its membership with it.
            }
        }

        foreach (var index in interfaces.Except(_joined).ToList())
        {
            try
            {
                Membership(index, join: true);
                _joined.Add(index);
            }
            catch (SocketException e)
            {
                failed.Add((index, e.Message));
            }
        }

        return failed;
    }

    /// <summary>Sends to one receiver, or to the group on an interface.</summary>
    /// <exception cref="SocketException">The interface or the route is gone, or the network is down.</exception>
    public async ValueTask SendAsync(byte[] packet, int toInterface, IPEndPoint? to, CancellationToken cancellationToken)
    {
        if (to is null && Family == AddressFamily.InterNetwork)
        {
            _socket.SetSocketOption(SocketOptionLevel.IP, SocketOptionName.MulticastInterface, IPAddress.HostToNetworkOrder(toInterface));
        }

        to ??= new IPEndPoint(Family == AddressFamily.InterNetwork ? Group4 : new IPAddress(Group6.GetAddressBytes(), toInterface), MulticastDns.Port);
        await _socket.SendToAsync(packet, SocketFlags.None, to, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>The next datagram, which starts a buffer of more than <see cref="MaxPacketBytes"/>.</summary>
    /// <exception cref="SocketException">Something failed that the next call may not.</exception>
    public async ValueTask<(int Length, IPEndPoint Source, int Interface)> ReceiveAsync(Memory<byte> buffer, CancellationToken cancellationToken)
    {
        var received = await _socket.ReceiveMessageFromAsync(buffer, SocketFlags.None, new IPEndPoint(Any(Family), 0), cancellationToken).ConfigureAwait(false);
        return (received.ReceivedBytes, (IPEndPoint)received.RemoteEndPoint, received.PacketInformation.Interface);
    }

    public void Dispose() => _socket.Dispose();

    private void Membership(int index, bool join)
    {
        var name = join ? SocketOptionName.AddMembership : SocketOptionName.DropMembership;
        if (Family == AddressFamily.InterNetwork)
        {
            _socket.SetSocketOption(SocketOptionLevel.IP, name, new MulticastOption(Group4, index));
        }
        else
        {
            _socket.SetSocketOption(SocketOptionLevel.IPv6, name, new IPv6MulticastOption(Group6, index));
        }
    }

    private static IPAddress Any(AddressFamily family) => family == AddressFamily.InterNetwork ? IPAddress.Any : IPAddress.IPv6Any;

    private static void Set(Socket socket, int level, int option, int value) => socket.SetRawSocketOption(level, option, BitConverter.GetBytes(value));
}
