using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using P2PWeights.Client.LocalApi;
using P2PWeights.Store.Content;
using P2PWeights.Store.Hashing;
using P2PWeights.Testing;

namespace P2PWeights.Client.Tests.LocalApi;

/// <summary>The client against a node of which every byte is scripted.</summary>
public sealed class NodeClientTests
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(30);
    private static readonly Digest SomeDigest = Blake3.Hash([1, 2, 3]);

    [Fact]
    public async Task An_update_that_ends_while_it_is_cancelled_still_brings_its_report()
    {
        using var folder = new TempFolder();
        var path = folder["ending.sock"];
        using var listener = NodeSocket.Bind(new UnixDomainSocketEndPoint(path));
        listener.Listen();
        using var client = new NodeClient(path);
        using var cancel = new CancellationTokenSource();
        var report = new UpdateReport("org/m@v1", SomeDigest, 1, 2, 3, 4, 5, 6, BroadcastModes.Peer, TimeSpan.Zero, [], [], null);
        var updating = client.UpdateAsync(new UpdateRequest("org/m@v1", ["e"]), null, cancel.Token);
        using var asked = await listener.AcceptAsync().WaitAsync(Deadline);

        await cancel.CancelAsync();

        // Asked again, because an update that has not begun is not known either.
        for (var times = 0; times < 2; times++)
        {
            using var cancelled = await listener.AcceptAsync().WaitAsync(Deadline);
            const string Body = "{\"error\":\"notFound\",\"message\":\"it has ended\"}";
            await cancelled.SendAsync(Encoding.UTF8.GetBytes($"HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: {Body.Length}\r\n\r\n{Body}"));
            await DrainAsync(cancelled, Deadline);
        }

        // A client that hangs up would do so now.
        await DrainAsync(asked, TimeSpan.FromMilliseconds(500));
        var result = JsonSerializer.Serialize(report, NodeJson.Default.UpdateReport);
        await asked.SendAsync(Encoding.UTF8.GetBytes($"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: text/event-stream\r\n\r\nevent: result\ndata: {result}\n\n"));
        asked.Shutdown(SocketShutdown.Send);

        Assert.Equal("org/m@v1", (await updating.WaitAsync(Deadline)).Checkpoint);

        // Until the other side closes, or for so long.
        static async Task DrainAsync(Socket socket, TimeSpan patience)
        {
            using var limit = new CancellationTokenSource(patience);
            var buffer = new byte[4096];
            try
            {
                while (await socket.ReceiveAsync(buffer, SocketFlags.None, limit.Token) > 0)
                {
                }
            }
            catch (OperationCanceledException)
            {
                // It is still there.
            }
        }
    }
}
