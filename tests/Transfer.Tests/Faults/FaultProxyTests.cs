using System.Diagnostics;
using System.Net.Sockets;
using P2PWeights.Testing;
using P2PWeights.Testing.Faults;

namespace P2PWeights.Transfer.Tests.Faults;

/// <summary>That each fault really happens, and only where it should.</summary>
public sealed class FaultProxyTests
{
    private readonly Seeded _seeded = new();

    [Fact]
    public async Task Clear_lines_pass_every_byte_and_the_ends_of_both_directions()
    {
        var sent = _seeded.Bytes(3_000_001);
        await using var echo = new Echo();
        await using var proxy = new FaultProxy(echo.EndPoint, _seeded);
        using var caller = await DialAsync(proxy);

        var writing = WriteAndEndAsync(caller, sent);
        var back = await ReadToEndAsync(caller);
        await writing;

        Assert.True(back.AsSpan().SequenceEqual(sent), proxy.ToString());
        Assert.Equal((sent.Length, sent.Length, 1), (proxy.ToTarget.Bytes, proxy.ToCaller.Bytes, proxy.Connections));
        Assert.Contains(_seeded.ToString(), proxy.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Delay_makes_bytes_late_and_the_line_no_slower()
    {
        await using var echo = new Echo();
        await using var proxy = new FaultProxy(echo.EndPoint, _seeded);
        proxy.ToTarget.Line = new FaultLine { Delay = TimeSpan.FromMilliseconds(200) };
        using var caller = await DialAsync(proxy);
        var sent = _seeded.Bytes(2 << 20);
        var began = Stopwatch.GetTimestamp();

        var writing = WriteAndEndAsync(caller, sent);
        var back = await ReadToEndAsync(caller);
        await writing;

        // 64 pieces, each late by itself: one after the other they would take 12 s.
        Assert.True(back.AsSpan().SequenceEqual(sent), proxy.ToString());
        Assert.True(Stopwatch.GetElapsedTime(began) >= TimeSpan.FromMilliseconds(200), proxy.ToString());
    }

    [Fact]
    public async Task Throttle_holds_for_all_connections_together()
    {
        await using var echo = new Echo();
        await using var proxy = new FaultProxy(echo.EndPoint, _seeded);
        proxy.ToTarget.Line = new FaultLine { BytesPerSecond = 1_000_000 };
        using var a = await DialAsync(proxy);
        using var b = await DialAsync(proxy);
        var sent = _seeded.Bytes(200_000);
        var began = Stopwatch.GetTimestamp();

        await Task.WhenAll(WriteAndEndAsync(a, sent), WriteAndEndAsync(b, sent));
        var back = await Task.WhenAll(ReadToEndAsync(a), ReadToEndAsync(b));

        Assert.All(back, bytes => Assert.True(bytes.AsSpan().SequenceEqual(sent), proxy.ToString()));
        Assert.True(Stopwatch.GetElapsedTime(began) >= TimeSpan.FromSeconds(0.4), proxy.ToString());
    }

    [Fact]
    public async Task Corrupt_flips_the_one_byte_at_the_offset()
    {
        await using var echo = new Echo();
        await using var proxy = new FaultProxy(echo.EndPoint, _seeded);
        var line = proxy.CorruptWithin(500_000);
        proxy.ToTarget.Line = line;
        using var caller = await DialAsync(proxy);
        var sent = _seeded.Bytes(500_000);

        var writing = WriteAndEndAsync(caller, sent);
        var back = await ReadToEndAsync(caller);
        await writing;

        Assert.Equal([(int)line.AfterBytes], Enumerable.Range(0, sent.Length).Where(i => back[i] != sent[i]));
        Assert.Equal((1, 0), (proxy.ToTarget.Hits, proxy.ToCaller.Hits));
    }

    [Fact]
    public async Task Reset_breaks_both_ends()
    {
        await using var echo = new Echo();
        await using var proxy = new FaultProxy(echo.EndPoint, _seeded);
        proxy.ToCaller.Line = new FaultLine { Fault = FaultKind.Reset, AfterBytes = 1000 };
        using var caller = await DialAsync(proxy);

        await caller.SendAsync(_seeded.Bytes(1000));
        await proxy.HitAsync(proxy.ToCaller);

        var failure = await Assert.ThrowsAsync<SocketException>(async () => await ReadToEndAsync(caller));
        Assert.Equal(SocketError.ConnectionReset, failure.SocketErrorCode);
        Assert.Equal(SocketError.ConnectionReset, await echo.EndOfFirst);
    }

    [Fact]
    public async Task Cut_ends_both_directions_in_order_after_so_many_bytes()
    {
        await using var echo = new Echo();
        await using var proxy = new FaultProxy(echo.EndPoint, _seeded);
        proxy.ToCaller.Line = new FaultLine { Fault = FaultKind.Cut, AfterBytes = 777 };
        using var caller = await DialAsync(proxy);
        var sent = _seeded.Bytes(777);

        await caller.SendAsync(sent);
        var back = await ReadToEndAsync(caller);

        Assert.True(back.AsSpan().SequenceEqual(sent), proxy.ToString());
        Assert.Equal(SocketError.Success, await echo.EndOfFirst);
    }

    [Fact]
    public async Task Half_close_ends_one_direction_and_the_other_goes_on()
    {
        await using var echo = new Echo();
        await using var proxy = new FaultProxy(echo.EndPoint, _seeded);
        proxy.ToTarget.Line = new FaultLine { Fault = FaultKind.HalfClose, AfterBytes = 100 };
        using var caller = await DialAsync(proxy);
        var sent = _seeded.Bytes(5000);

        await caller.SendAsync(sent);
        var back = await ReadToEndAsync(caller);

        Assert.True(back.AsSpan().SequenceEqual(sent.AsSpan(0, 100)), proxy.ToString());
        Assert.Equal(SocketError.Success, await echo.EndOfFirst);
    }

    [Fact]
    public async Task Blackhole_holds_bytes_until_the_line_is_changed()
    {
        await using var echo = new Echo();
        await using var proxy = new FaultProxy(echo.EndPoint, _seeded);
        using var caller = await DialAsync(proxy);
        proxy.ToCaller.Line = new FaultLine { Fault = FaultKind.Blackhole, AfterBytes = 10 };
        var sent = _seeded.Bytes(1000);

        var writing = WriteAndEndAsync(caller, sent);
        await proxy.HitAsync(proxy.ToCaller);
        await writing;
        Assert.Equal(SocketError.Success, await echo.EndOfFirst);
        Assert.Equal((1000, 10), (proxy.ToTarget.Bytes, proxy.ToCaller.Bytes));
        proxy.ToCaller.Line = FaultLine.Clear;

        Assert.True((await ReadToEndAsync(caller)).AsSpan().SequenceEqual(sent), proxy.ToString());
    }

    [Fact]
    public async Task Line_set_on_a_running_connection_counts_from_there()
    {
        await using var echo = new Echo();
        await using var proxy = new FaultProxy(echo.EndPoint, _seeded);
        using var caller = await DialAsync(proxy);
        await caller.SendAsync(new byte[100]);
        await ReadAsync(caller, 100);

        proxy.ToTarget.Line = new FaultLine { Fault = FaultKind.Corrupt, AfterBytes = 3 };
        await caller.SendAsync(new byte[8]);

        Assert.Equal([0, 0, 0, 0xFF, 0, 0, 0, 0], await ReadAsync(caller, 8));
    }

    [Fact]
    public async Task Spared_connections_stay_unharmed()
    {
        await using var echo = new Echo();
        await using var proxy = new FaultProxy(echo.EndPoint, _seeded) { SparedConnections = 1 };
        proxy.ToTarget.Line = new FaultLine { Fault = FaultKind.Reset };
        using var spared = await DialAsync(proxy);
        await spared.SendAsync(new byte[9]);
        await ReadAsync(spared, 9);

        await Assert.ThrowsAsync<SocketException>(() => DialAndReadAsync(proxy));
        await proxy.HitAsync(proxy.ToTarget);
        await spared.SendAsync(new byte[9]);
        await ReadAsync(spared, 9);
    }

    [Fact]
    public async Task Proxy_of_a_target_that_is_gone_resets_who_calls()
    {
        var echo = new Echo();
        await using var proxy = new FaultProxy(echo.EndPoint, _seeded);
        await echo.DisposeAsync();
        await Assert.ThrowsAsync<SocketException>(() => DialAndReadAsync(proxy));
    }

    /// <summary>Dials a line that may be reset while the caller is still dialling.</summary>
    private static async Task<byte[]> DialAndReadAsync(FaultProxy proxy)
    {
        using var caller = await DialAsync(proxy);
        return await ReadToEndAsync(caller);
    }

    private static async Task<Socket> DialAsync(FaultProxy proxy)
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        await socket.ConnectAsync(proxy.EndPoint, TestNode.Deadline);
        return socket;
    }

    private static async Task WriteAndEndAsync(Socket socket, byte[] bytes)
    {
        for (var sent = 0; sent < bytes.Length;)
        {
            sent += await socket.SendAsync(bytes.AsMemory(sent), TestNode.Deadline);
        }

        socket.Shutdown(SocketShutdown.Send);
    }

    private static async Task<byte[]> ReadAsync(Socket socket, int count)
    {
        var bytes = new byte[count];
        await using var stream = new NetworkStream(socket);
        await stream.ReadExactlyAsync(bytes, TestNode.Deadline);
        return bytes;
    }

    private static async Task<byte[]> ReadToEndAsync(Socket socket)
    {
        var all = new MemoryStream();
        var piece = new byte[64 << 10];
        while (await socket.ReceiveAsync(piece, TestNode.Deadline) is var count and > 0)
        {
            all.Write(piece, 0, count);
        }

        return all.ToArray();
    }

    /// <summary>Sends back what comes, to its end, and remembers how its first connection ended.</summary>
    private sealed class Echo : IAsyncDisposable
    {
        private readonly TaskCompletionSource<SocketError> _end = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private readonly ScriptedListener _listener;

        public Echo() => _listener = new ScriptedListener(PlayAsync);

        public System.Net.IPEndPoint EndPoint => _listener.EndPoint;

        /// <summary>How the first connection's bytes ended: in order, or by which error.</summary>
        public Task<SocketError> EndOfFirst => _end.Task.WaitAsync(TestNode.Deadline);

        public ValueTask DisposeAsync() => _listener.DisposeAsync();

        private async Task PlayAsync(NetworkStream stream, CancellationToken cancellationToken)
        {
            try
            {
                var piece = new byte[64 << 10];
                while (await stream.ReadAsync(piece, cancellationToken) is var count and > 0)
                {
                    await stream.WriteAsync(piece.AsMemory(0, count), cancellationToken);
                }

                stream.Socket.Shutdown(SocketShutdown.Send);
                _end.TrySetResult(SocketError.Success);
            }
            catch (IOException e) when (e.InnerException is SocketException inner)
            {
                _end.TrySetResult(inner.SocketErrorCode);
            }
        }
    }
}
