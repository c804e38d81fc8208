using System.Net;
using System.Net.Sockets;
using P2PWeights.Native.Posix;
using P2PWeights.Testing;

namespace P2PWeights.Native.Tests.Posix;

public sealed class SocketFileTests : IDisposable
{
    private readonly TempFolder _folder = new();
    private readonly Seeded _seeded = new();

    public void Dispose() => _folder.Dispose();

    private static CancellationToken Deadline => new CancellationTokenSource(TimeSpan.FromSeconds(30)).Token;

    [Fact]
    public async Task Socket_takes_a_file_until_it_is_full_and_what_it_took_arrives()
    {
        var bytes = _seeded.Bytes(64 << 20);
        File.WriteAllBytes(_folder["file"], bytes);
        using var file = File.OpenHandle(_folder["file"]);
        var (sender, receiver) = await ConnectAsync();
        using (sender)
        using (receiver)
        {
            // Nobody reads: it ends, and does not block, when the buffers of both sockets are full.
            var sent = 0;
            while (SocketFile.TrySend(sender.SafeHandle, file, sent, bytes.Length - sent) is { } taken)
            {
                Assert.NotEqual(0, taken);
                sent += taken;
            }

            Assert.InRange(sent, 1, bytes.Length - 1);
            sender.Shutdown(SocketShutdown.Send);
            var received = new byte[sent];
            using var stream = new NetworkStream(receiver);
            await stream.ReadExactlyAsync(received, Deadline);
            Assert.True(received.AsSpan().SequenceEqual(bytes.AsSpan(0, sent)), _seeded.ToString());
        }
    }

    [Fact]
    public async Task File_that_ends_at_the_offset_gives_nothing()
    {
        File.WriteAllBytes(_folder["file"], new byte[100]);
        using var file = File.OpenHandle(_folder["file"]);
        var (sender, receiver) = await ConnectAsync();
        using (sender)
        using (receiver)
        {
            Assert.Equal(40, SocketFile.TrySend(sender.SafeHandle, file, 60, 1000));
            Assert.Equal(0, SocketFile.TrySend(sender.SafeHandle, file, 100, 1000));
        }
    }

    [Fact]
    public async Task Connection_that_was_reset_is_an_error()
    {
        File.WriteAllBytes(_folder["file"], new byte[100]);
        using var file = File.OpenHandle(_folder["file"]);
        var (sender, receiver) = await ConnectAsync();
        using (sender)
        {
            // Closed with a byte unread, and without lingering: a reset.
            await sender.SendAsync(new byte[1], Deadline);
            receiver.LingerState = new LingerOption(true, 0);
            receiver.Dispose();
            Assert.Equal(0, await ReceiveAsync(sender));

            Assert.Throws<NativeException>(() => SocketFile.TrySend(sender.SafeHandle, file, 0, 100));
        }
    }

    /// <summary>Waits for the end of what the other side sends, by a reset or otherwise.</summary>
    private static async Task<int> ReceiveAsync(Socket socket)
    {
        try
        {
            return await socket.ReceiveAsync(new byte[1], Deadline);
        }
        catch (SocketException)
        {
            return 0;
        }
    }

    private static async Task<(Socket Sender, Socket Receiver)> ConnectAsync()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var sender = new Socket(SocketType.Stream, ProtocolType.Tcp);
        await sender.ConnectAsync(listener.LocalEndpoint, Deadline);
        var receiver = await listener.AcceptSocketAsync(Deadline);

        // The first asynchronous use makes .NET's sockets non-blocking.
        await sender.SendAsync(new byte[1], Deadline);
        Assert.Equal(1, await receiver.ReceiveAsync(new byte[1], Deadline));
        return (sender, receiver);
    }
}
