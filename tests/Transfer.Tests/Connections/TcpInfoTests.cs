using System.Net;
using System.Net.Sockets;
using P2PWeights.Transfer.Connections;

namespace P2PWeights.Transfer.Tests.Connections;

public sealed class TcpInfoTests
{
    [Fact]
    public async Task Round_trip_of_a_loopback_connection_is_measured_and_short()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        using var caller = new Socket(SocketType.Stream, ProtocolType.Tcp);
        await caller.ConnectAsync(listener.LocalEndpoint, TestNode.Deadline);
        using var answering = await listener.AcceptSocketAsync(TestNode.Deadline);

        var roundTrip = TcpInfo.RoundTrip(caller);

        // The handshake of TCP is the first sample. Seconds would mean another field, or another unit.
        Assert.NotNull(roundTrip);
        Assert.InRange(roundTrip.Value, TimeSpan.Zero, TimeSpan.FromSeconds(1));
    }

    [Fact]
    public void Round_trip_of_a_closed_socket_is_unknown()
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
        socket.Dispose();

        Assert.Null(TcpInfo.RoundTrip(socket));
    }
}
