using System.Net.Sockets;
using System.Text;
using P2PWeights.Client.Engines.Zmtp;

namespace P2PWeights.Client.Tests.Engines.Zmtp;

/// <summary>Against a peer that sends whatever the test says, byte by byte.</summary>
public sealed class ZmtpConnectionTests
{
    private static readonly byte[] Greeting = [0xFF, 0, 0, 0, 0, 0, 0, 0, 1, 0x7F, 3, 0, .. "NULL"u8, .. new byte[48]];
    private static readonly byte[] Ready = [4, 41, 5, .. "READY"u8, 11, .. "socket-type"u8, 0, 0, 0, 3, .. "REP"u8, 8, .. "Identity"u8, 0, 0, 0, 3, .. "abc"u8];

    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(30);

    [Fact]
    public async Task A_message_and_its_answer_go_both_ways_with_short_and_long_frames()
    {
        await using var peer = await Peer.StartAsync();
        foreach (var length in new[] { 0, 1, 255, 256, 70_000 })
        {
            var body = new byte[length];
            body.AsSpan().Fill(7);
            await peer.Connection.SendAsync(body, default);
            byte[] header = length < 256 ? [1, 0, 0, (byte)length] : [1, 0, 2, 0, 0, 0, 0, 0, (byte)(length >> 16), (byte)(length >> 8), (byte)length];
            byte[] frames = [.. header, .. body];
            Assert.Equal(frames, await peer.ReadAsync(frames.Length));
            Assert.True(peer.Connection.IsWaiting);

            await peer.WriteAsync(frames);
            Assert.Equal(body, await peer.Connection.ReceiveAsync(default).WaitAsync(Deadline));
            Assert.False(peer.Connection.IsWaiting);
        }
    }

    [Fact]
    public async Task Our_greeting_and_ready_are_those_of_a_req_socket()
    {
        await using var peer = await Peer.StartAsync();
        Assert.Equal([0xFF, 0, 0, 0, 0, 0, 0, 0, 0, 0x7F, 3, 1, .. "NULL"u8, .. new byte[16], 0, .. new byte[31]], peer.Sent[..64]);
        Assert.Equal([4, 25, 5, .. "READY"u8, 11, .. "Socket-Type"u8, 0, 0, 0, 3, .. "REQ"u8], peer.Sent[64..]);
    }

    [Fact]
    public async Task A_ping_is_answered_while_nothing_is_asked_and_while_an_answer_is_due()
    {
        await using var peer = await Peer.StartAsync();
        await peer.WriteAsync([4, 9, 4, .. "PING"u8, 0, 10, 1, 2]);
        Assert.Equal(Pong(1, 2), await peer.ReadAsync(9));

        await peer.Connection.SendAsync("q"u8.ToArray(), default);
        await peer.ReadAsync(5);
        await peer.WriteAsync([4, 7, 4, .. "PING"u8, 0, 10, 4, 7, 6, .. "OTHERS"u8, 1, 0, 0, 1, (byte)'a']);
        Assert.Equal(Pong(), await peer.ReadAsync(7));
        Assert.Equal("a"u8.ToArray(), await peer.Connection.ReceiveAsync(default).WaitAsync(Deadline));
    }

    public static TheoryData<string, byte[], string> BadGreetings => new()
    {
        { "HTTP", [.. Encoding.ASCII.GetBytes("HTTP/1.1 200 OK".PadRight(64))], "does not speak ZMTP" },
        { "ZMTP 1", [1, .. new byte[63]], "does not speak ZMTP" },
        { "ZMTP 2", Changed(Greeting, 10, 1), "speaks ZMTP 1" },
        { "PLAIN", Changed(Greeting, 12, (byte)'P'), "mechanism" },
        { "message first", [.. Greeting, 0, 0], "before its READY" },
        { "long READY", [.. Greeting, 6, 0, 0, 0, 0, 0, 0, 16, 1], "4097 bytes" },
        { "huge READY", [.. Greeting, 6, 255, 255, 255, 255, 255, 255, 255, 255], "18446744073709551615 bytes" },
        { "unknown flags", [.. Greeting, 0x84, 0], "0x84" },
        { "more and command", [.. Greeting, 5, 0], "0x05" },
        { "empty command", [.. Greeting, 4, 0], "longer than its command" },
        { "name too long", [.. Greeting, 4, 2, 5, 65], "longer than its command" },
        { "other command", [.. Greeting, 4, 6, 5, .. "HELLO"u8], "HELLO" },
        { "ERROR", [.. Greeting, 4, 9, 5, .. "ERROR"u8, 2, .. "no"u8], "refuses the connection: no" },
        { "property too long", [.. Greeting, 4, 12, 5, .. "READY"u8, 1, 65, 127, 255, 255, 255], "longer than the command" },
        { "property without a value", [.. Greeting, 4, 9, 5, .. "READY"u8, 1, 65, 0], "longer than the command" },
        { "PULL", [.. Greeting, 4, 26, 5, .. "READY"u8, 11, .. "Socket-Type"u8, 0, 0, 0, 4, .. "PULL"u8], "PULL socket" },
    };

    [Theory]
    [MemberData(nameof(BadGreetings))]
    public async Task A_greeting_that_is_none_is_refused_with_the_reason(string what, byte[] sent, string reason)
    {
        var failure = await Assert.ThrowsAsync<InvalidDataException>(() => Peer.StartAsync(sent)).WaitAsync(Deadline);
        Assert.True(failure.Message.Contains(reason, StringComparison.Ordinal), $"{what}: {failure.Message}");
    }

    public static TheoryData<string, byte[], string> BadAnswers => new()
    {
        { "without an empty frame", [0, 1, 65], "empty frame" },
        { "first frame not empty", [1, 1, 65, 0, 0], "empty frame" },
        { "two frames", [1, 0, 1, 1, 65, 0, 0], "more than one frame" },
        { "too long", [1, 0, 2, 0, 0, 0, 0, 0, 16, 0, 1], "1048577 bytes" },
        { "negative length", [1, 0, 2, 128, 0, 0, 0, 0, 0, 0, 0], "bytes" },
        { "two answers", [1, 0, 0, 1, 65, 1, 0, 0, 1, 66], "answer to nothing" },
        { "long PING", [4, 24, 4, .. "PING"u8, .. new byte[19]], "PING" },
    };

    [Theory]
    [MemberData(nameof(BadAnswers))]
    public async Task An_answer_that_is_none_ends_the_connection_with_the_reason(string what, byte[] sent, string reason)
    {
        await using var peer = await Peer.StartAsync();
        await peer.Connection.SendAsync("q"u8.ToArray(), default);
        await peer.WriteAsync(sent);
        var failure = await Assert.ThrowsAsync<InvalidDataException>(async () =>
        {
            while (true)
            {
                await peer.Connection.ReceiveAsync(default).WaitAsync(Deadline);
            }
        });
        Assert.True(failure.Message.Contains(reason, StringComparison.Ordinal), $"{what}: {failure.Message}");
        await Assert.ThrowsAsync<InvalidDataException>(() => peer.Connection.SendAsync("q"u8.ToArray(), default));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(3)]
    [InlineData(5)]
    public async Task A_peer_that_closes_at_any_byte_ends_the_wait(int bytes)
    {
        await using var peer = await Peer.StartAsync();
        await peer.Connection.SendAsync("q"u8.ToArray(), default);
        var answer = peer.Connection.ReceiveAsync(default);
        await peer.WriteAsync(new byte[] { 1, 0, 0, 4, 65, 66 }[..bytes]);
        peer.Close();
        await Assert.ThrowsAsync<IOException>(() => answer.WaitAsync(Deadline));
        await Assert.ThrowsAsync<IOException>(() => peer.Connection.SendAsync("q"u8.ToArray(), default));
    }

    [Fact]
    public async Task A_wait_that_was_cancelled_can_be_taken_up_again()
    {
        await using var peer = await Peer.StartAsync();
        await peer.Connection.SendAsync("q"u8.ToArray(), default);
        using var cancel = new CancellationTokenSource();
        var waiting = peer.Connection.ReceiveAsync(cancel.Token);
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting);
        Assert.True(peer.Connection.IsWaiting);
        await peer.WriteAsync([1, 0, 0, 1, 65]);
        Assert.Equal("A"u8.ToArray(), await peer.Connection.ReceiveAsync(default).WaitAsync(Deadline));
    }

    private static byte[] Pong(params byte[] context) => [4, (byte)(5 + context.Length), 4, .. "PONG"u8, .. context];

    private static byte[] Changed(byte[] bytes, int at, byte value)
    {
        byte[] changed = [.. bytes];
        changed[at] = value;
        return changed;
    }

    /// <summary>Both ends of a socket: a connection of ours, and the peer's end as bare bytes.</summary>
    private sealed class Peer(ZmtpConnection connection, NetworkStream stream, byte[] sent) : IAsyncDisposable
    {
        public ZmtpConnection Connection { get; } = connection;

        /// <summary>What our end has sent for its greeting.</summary>
        public byte[] Sent { get; } = sent;

        public static async Task<Peer> StartAsync(byte[]? greeting = null)
        {
            var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            using var server = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            var name = new UnixDomainSocketEndPoint($"\0p2pweights-test-{Guid.NewGuid():n}");
            server.Bind(name);
            server.Listen();
            await socket.ConnectAsync(name);
            var stream = new NetworkStream(await server.AcceptAsync(), ownsSocket: true);
            try
            {
                await stream.WriteAsync(greeting ?? [.. Greeting, .. Ready]);
                var connection = await ZmtpConnection.OpenAsync(new NetworkStream(socket, ownsSocket: true), default);
                var sent = new byte[64 + 27];
                await stream.ReadExactlyAsync(sent);
                return new Peer(connection, stream, sent);
            }
            catch
            {
                await stream.DisposeAsync();
                throw;
            }
        }

        public Task WriteAsync(byte[] bytes) => stream.WriteAsync(bytes).AsTask();

        public async Task<byte[]> ReadAsync(int count)
        {
            using var deadline = new CancellationTokenSource(Deadline);
            var bytes = new byte[count];
            await stream.ReadExactlyAsync(bytes, deadline.Token);
            return bytes;
        }

        public void Close() => stream.Dispose();

        public async ValueTask DisposeAsync()
        {
            await stream.DisposeAsync();
            await Connection.DisposeAsync();
        }
    }
}
