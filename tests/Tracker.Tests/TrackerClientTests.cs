using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Logging.Abstractions;
using P2PWeights.Testing;

namespace P2PWeights.Tracker.Tests;

/// <summary>Fail-over, and what people read when something is wrong.</summary>
public sealed class TrackerClientTests
{
    private static readonly CancellationToken None = CancellationToken.None;

    [Fact]
    public async Task Call_dead_tracker_first_in_the_list_is_answered_by_the_next()
    {
        await using var tracker = await RunningTracker.StartAsync();
        using var silent = TakePort(out var dead);
        using var client = new TrackerClient([dead, tracker.Address], null, TimeProvider.System);

        Assert.Equal(0, (await client.StatusAsync(None)).Peers);
        Assert.False(await client.RemoveAsync(Make.Checkpoint("m@v1"), None));
    }

    [Fact]
    public async Task Call_tracker_that_dies_between_calls_is_answered_by_the_other()
    {
        await using var second = await RunningTracker.StartAsync();
        var first = await RunningTracker.StartAsync();
        using var client = new TrackerClient([first.Address, second.Address], null, TimeProvider.System);
        var epoch = (await client.StatusAsync(None)).Epoch;
        await first.DisposeAsync();

        Assert.NotEqual(epoch, (await client.StatusAsync(None)).Epoch);
    }

    [Fact]
    public async Task Call_nobody_there_says_where_why_and_what_to_do()
    {
        using var silent = TakePort(out var address);
        using var client = new TrackerClient([address], null, TimeProvider.System);

        var e = await Assert.ThrowsAsync<TrackerException>(() => client.StatusAsync(None));

        Assert.Equal(TrackerError.Unreachable, e.Error);
        Assert.StartsWith($"no tracker answered at http://127.0.0.1:{address.Port} within ", e.Message, StringComparison.Ordinal);
        Assert.EndsWith(" s (connection refused); is `p2pw tracker` running there?", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Call_something_else_there_says_that_no_tracker_answered()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var serving = ServeAsync(listener, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
        using var client = new TrackerClient([new Uri($"http://127.0.0.1:{((IPEndPoint)listener.LocalEndpoint).Port}")], null, TimeProvider.System);

        var e = await Assert.ThrowsAsync<TrackerException>(() => client.StatusAsync(None));

        Assert.Equal(TrackerError.Unreachable, e.Error);
        Assert.StartsWith("no tracker answered at ", e.Message, StringComparison.Ordinal);
        listener.Stop();
        await serving;
    }

    [Fact]
    public async Task Call_silent_tracker_ends_at_the_deadline()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start(); // the kernel accepts; nobody ever answers
        var time = new ManualTime();
        using var client = new TrackerClient([new Uri($"http://127.0.0.1:{((IPEndPoint)listener.LocalEndpoint).Port}")], null, time);

        var call = client.StatusAsync(None);
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        while (!call.IsCompleted)
        {
            deadline.Token.ThrowIfCancellationRequested();
            time.Advance(TimeSpan.FromSeconds(1));
            await Task.Yield();
        }

        Assert.Equal(TrackerError.Unreachable, (await Assert.ThrowsAsync<TrackerException>(() => call)).Error);
    }

    [Fact]
    public async Task Call_cancelled_by_the_caller_is_cancelled()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        using var client = new TrackerClient([new Uri($"http://127.0.0.1:{((IPEndPoint)listener.LocalEndpoint).Port}")], null, TimeProvider.System);
        using var cancel = new CancellationTokenSource();
        var call = client.StatusAsync(cancel.Token);
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => call);
    }

    [Fact]
    public async Task Tag_that_cannot_be_one_is_refused_with_the_rule()
    {
        await using var tracker = await RunningTracker.StartAsync();
        var e = await Assert.ThrowsAsync<TrackerException>(() => tracker.Client.TagAsync(Make.Checkpoint("m@v1"), "a/b", None));
        Assert.Equal(TrackerError.Refused, e.Error);
    }

    [Theory]
    [InlineData("nonsense")]
    [InlineData("host:port")]
    [InlineData("127.0.0.1:99999")]
    public async Task Start_at_no_address_says_so(string listen)
    {
        using var folder = new TempFolder();
        var e = await Assert.ThrowsAsync<TrackerException>(() => RunningTracker.StartAsync(folder.Path, listen: listen));
        Assert.Equal(TrackerError.Listen, e.Error);
        Assert.Contains(listen, e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Start_at_a_taken_port_says_so_and_gives_the_folder_back()
    {
        using var folder = new TempFolder();
        await using var first = await RunningTracker.StartAsync();
        var listen = $"127.0.0.1:{first.Address.Port}";

        var e = await Assert.ThrowsAsync<TrackerException>(() => RunningTracker.StartAsync(folder.Path, listen: listen));

        Assert.Equal(TrackerError.Listen, e.Error);
        Assert.Contains(listen, e.Message, StringComparison.Ordinal);
        await using var second = await RunningTracker.StartAsync(folder.Path);
    }

    [Fact]
    public async Task Start_by_host_name_listens()
    {
        using var folder = new TempFolder();
        var options = new TrackerOptions { Listen = "localhost:0", DataDirectory = folder.Path };
        await using var server = await TrackerServer.StartAsync(options, TimeProvider.System, NullLoggerFactory.Instance, None);
        using var client = new TrackerClient([server.Address], null, TimeProvider.System);
        Assert.Equal(0, (await client.StatusAsync(None)).Peers);
    }

    /// <summary>A port on which nobody listens, and nobody else can.</summary>
    private static Socket TakePort(out Uri address)
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        address = new Uri($"http://127.0.0.1:{((IPEndPoint)socket.LocalEndPoint!).Port}");
        return socket;
    }

    /// <summary>Reads what comes first on each connection, sends the answer and closes.</summary>
    private static async Task ServeAsync(TcpListener listener, string answer)
    {
        var request = new byte[4096];
        while (true)
        {
            try
            {
                using var connection = await listener.AcceptTcpClientAsync();
                await connection.GetStream().ReadAtLeastAsync(request, minimumBytes: 1);
                await connection.GetStream().WriteAsync(System.Text.Encoding.ASCII.GetBytes(answer));
            }
            catch (IOException)
            {
                // That caller went away; the next may come.
            }
            catch (Exception e) when (e is SocketException or ObjectDisposedException or InvalidOperationException)
            {
                return; // stopped
            }
        }
    }
}
