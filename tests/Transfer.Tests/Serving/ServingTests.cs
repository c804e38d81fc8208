using System.Net;
using System.Net.Sockets;
using P2PWeights.Testing;
using P2PWeights.Transfer.Connections;
using P2PWeights.Transfer.Serving;
using P2PWeights.Transfer.Swarms;
using P2PWeights.Transfer.Wire;

namespace P2PWeights.Transfer.Tests.Serving;

public sealed class ServingTests
{
    [Theory]
    [InlineData("a secret", "a secret", null)]
    [InlineData(null, null, null)]
    [InlineData("a secret", "another", "another cluster key")]
    [InlineData("a secret", null, "has a cluster key and the caller has none")]
    [InlineData(null, "a secret", "the caller has a cluster key and this node has none")]
    public async Task Pull_between_keys_works_only_when_they_are_equal(string? serverKey, string? callerKey, string? refusal)
    {
        var checkpoint = TestCheckpoint.Create(5000);
        await using var publisher = await TestNode.StartAsync("publisher", new TransferOptions { ClusterKey = serverKey });
        await using var node = await TestNode.StartAsync("node", new TransferOptions { Paths = [PathNames.Tcp], ClusterKey = callerKey, NoSourceTimeout = TimeSpan.FromSeconds(refusal is null ? 60 : 5) });
        await publisher.HoldAsync(checkpoint);
        node.Meet(checkpoint, publisher.Info);
        if (refusal is null)
        {
            await node.PullAsync(checkpoint);
            await node.AssertHoldsAsync(checkpoint);
            return;
        }

        var failure = await Assert.ThrowsAsync<TransferException>(() => node.PullAsync(checkpoint));
        Assert.Contains(refusal, failure.Message, StringComparison.Ordinal);
        Assert.Equal(0, publisher.Transfer.Served.Shards);
    }

    [Fact]
    public async Task Address_where_another_node_answers_is_refused_with_both_ids()
    {
        await using var publisher = await TestNode.StartAsync("publisher");
        await using var node = await TestNode.StartAsync("node", new TransferOptions { Paths = [PathNames.Tcp], NoSourceTimeout = TimeSpan.FromSeconds(5) });
        var checkpoint = TestCheckpoint.Create(5000);
        await publisher.HoldAsync(checkpoint);
        var expected = Guid.NewGuid();
        node.Meet(checkpoint, publisher.Info with { Id = expected });

        var failure = await Assert.ThrowsAsync<TransferException>(() => node.PullAsync(checkpoint));

        Assert.Contains(expected.ToString(), failure.Message, StringComparison.Ordinal);
        Assert.Contains(publisher.Store.NodeId.ToString(), failure.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("")]
    [InlineData("P2P")]
    [InlineData("GET / HTTP/1.1\r\n\r\n")]
    public async Task Caller_that_does_not_shake_hands_is_closed_and_others_are_served(string opening)
    {
        var time = new VirtualTime();
        await using var publisher = await TestNode.StartAsync("publisher", time: time);
        await using var node = await TestNode.StartAsync("node");
        using var caller = new TcpClient();
        await caller.ConnectAsync(publisher.Transfer.LocalEndPoint, TestNode.Deadline);
        await caller.GetStream().WriteAsync(System.Text.Encoding.ASCII.GetBytes(opening), TestNode.Deadline);
        var checkpoint = TestCheckpoint.Create(5000);
        await publisher.HoldAsync(checkpoint);
        node.Meet(checkpoint, publisher.Info);

        await node.PullAsync(checkpoint);

        Assert.True(await EndsWithinAsync(time, WireLimits.HandshakeTimeout, ReadToEndAsync(caller.GetStream())));
    }

    [Fact]
    public async Task Callers_that_say_nothing_keep_nobody_out()
    {
        const int More = 30;

        var time = new VirtualTime();
        await using var publisher = await TestNode.StartAsync("publisher", time: time);
        await using var node = await TestNode.StartAsync("node");
        var silent = new List<TcpClient>();
        try
        {
            for (var i = 0; i < WireLimits.MaxHandshakes + More; i++)
            {
                silent.Add(new TcpClient());
                await silent[i].ConnectAsync(publisher.Transfer.LocalEndPoint, TestNode.Deadline);
            }

            // In steps so small that those who came last are far from the end of their handshake's time.
            var closed = Task.WhenAll(silent.Take(More).Select(caller => ReadToEndAsync(caller.GetStream())));
            await Eventually.HoldsAsync(
                () =>
                {
                    time.Advance(TimeSpan.FromMilliseconds(10));
                    return closed.IsCompleted;
                },
                "those who came first are closed");
            var checkpoint = TestCheckpoint.Create(5000);
            await publisher.HoldAsync(checkpoint);
            node.Meet(checkpoint, publisher.Info);

            await node.PullAsync(checkpoint);

            await node.AssertHoldsAsync(checkpoint);
            Assert.False(silent[^1].Client.Poll(0, SelectMode.SelectRead), "those who came last are still waited for");
        }
        finally
        {
            silent.ForEach(caller => caller.Dispose());
        }
    }

    [Fact]
    public async Task Burst_of_more_callers_than_may_shake_hands_at_a_time_loses_none()
    {
        // However long this host takes for it, nobody has had the time that each is given.
        await using var publisher = await TestNode.StartAsync("publisher", time: new VirtualTime());
        var callers = new List<FrameConnection>();
        try
        {
            for (var i = 0; i < WireLimits.MaxHandshakes + 30; i++)
            {
                var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
                await socket.ConnectAsync(publisher.Transfer.LocalEndPoint, TestNode.Deadline);
                callers.Add(new FrameConnection(socket, TimeProvider.System));
            }

            var acks = await Task.WhenAll(callers.Select(caller =>
                Handshake.CallAsync(caller, new Identity(Guid.NewGuid(), "caller", null), LaneKind.Control, publisher.Store.NodeId, TestNode.Deadline).AsTask()));

            Assert.Equal(callers.Count, acks.Length);
        }
        finally
        {
            callers.ForEach(caller => caller.Dispose());
        }
    }

    [Fact]
    public async Task Caller_that_sends_half_a_frame_and_then_nothing_is_closed()
    {
        var time = new VirtualTime();
        await using var publisher = await TestNode.StartAsync("publisher", time: time);
        await using var watch = new ConnectionWatch(TimeProvider.System);
        var dialler = new Dialler(new Identity(Guid.NewGuid(), "slow", null), watch, TimeProvider.System);
        using var lane = await dialler.OpenAsync(publisher.Info, LaneKind.Data, TestNode.Deadline);

        await lane.Connection.SendAsync(FrameCodec.Encode(1, FrameType.Ping).AsMemory(0, 9), TestNode.Deadline);

        var reading = lane.Connection.ReadHeaderAsync(TestNode.Deadline).AsTask();
        Assert.True(await EndsWithinAsync(time, WireLimits.FrameTimeout, reading));
        await Assert.ThrowsAsync<IOException>(() => reading);
    }

    [Fact]
    public async Task Caller_with_too_many_open_fetches_is_closed()
    {
        var checkpoint = TestCheckpoint.Create(16 << 20);
        await using var publisher = await TestNode.StartAsync("publisher");
        await publisher.HoldAsync(checkpoint);
        await using var watch = new ConnectionWatch(TimeProvider.System);
        var dialler = new Dialler(new Identity(Guid.NewGuid(), "greedy", null), watch, TimeProvider.System);
        using var lane = await dialler.OpenAsync(publisher.Info, LaneKind.Data, TestNode.Deadline);

        // Nothing is read, so the first answer fills the socket and the rest waits.
        await Assert.ThrowsAsync<IOException>(async () =>
        {
            for (uint id = 1; id < 100_000; id++)
            {
                await lane.Connection.SendAsync(FrameCodec.Encode(id, new FetchMessage(checkpoint.Manifest.Shards[0])), TestNode.Deadline);
            }
        });
    }

    [Fact]
    public async Task Caller_that_announces_a_payload_out_of_place_is_closed_without_waiting_for_it()
    {
        // In a time that stands still no deadline ends the connection.
        await using var publisher = await TestNode.StartAsync("publisher", time: new ManualTime());
        await using var watch = new ConnectionWatch(TimeProvider.System);
        var dialler = new Dialler(new Identity(Guid.NewGuid(), "liar", null), watch, TimeProvider.System);
        using var lane = await dialler.OpenAsync(publisher.Info, LaneKind.Control, TestNode.Deadline);
        var header = new byte[FrameHeader.Size];
        new FrameHeader(FrameType.Bitmap, 0, WireLimits.MaxControlBytes).Write(header);

        await lane.Connection.SendAsync(header, TestNode.Deadline);

        await Assert.ThrowsAsync<IOException>(async () => await lane.Connection.ReadHeaderAsync(TestNode.Deadline));
    }

    [Fact]
    public async Task Upload_that_takes_longer_than_the_idle_time_goes_on_as_long_as_bytes_are_taken()
    {
        const int Slice = 4 << 20;
        var checkpoint = TestCheckpoint.Create(4 * Slice);
        await using var publisher = await TestNode.StartAsync("publisher");
        await publisher.HoldAsync(checkpoint);
        var (caller, listener) = await ConnectAsync();
        var time = new ManualTime();
        using var connection = new FrameConnection(listener, time) { IdleTimeout = WireLimits.IdleTimeout };
        using var swarms = new SwarmRegistry(publisher.Store, TimeProvider.System);
        using var metrics = new TransferMetrics();
        var context = new ServingContext(
            publisher.Store, swarms, new UploadSlots(1), 1, new ByteRate(0), metrics, time, Microsoft.Extensions.Logging.Abstractions.NullLogger.Instance);
        using var stop = new CancellationTokenSource();
        var serving = new UploadLane(connection, Guid.NewGuid(), context).RunAsync(stop.Token);
        await using (var stream = new NetworkStream(caller, ownsSocket: true))
        {
            var frame = new byte[FrameHeader.Size + checkpoint.Bytes[0].Length];
            await stream.WriteAsync(FrameCodec.Encode(1, new FetchMessage(checkpoint.Manifest.Shards[0])), TestNode.Deadline);
            for (var taken = 0; taken < frame.Length;)
            {
                // What is taken goes half a slice beyond a whole one, far more than the sockets hold: the slice before is through.
                var next = Math.Min(Slice + (taken == 0 ? Slice / 2 : 0), frame.Length - taken);
                await stream.ReadExactlyAsync(frame.AsMemory(taken, next), TestNode.Deadline);
                taken += next;
                time.Advance(WireLimits.IdleTimeout * 0.66);
                connection.CheckDeadlines();
            }

            Assert.True(frame.AsSpan(FrameHeader.Size).SequenceEqual(checkpoint.Bytes[0]), checkpoint.Seeded.ToString());
        }

        // It ends with the stop or, before that, with the caller's connection.
        await stop.CancelAsync();
        await Task.WhenAny(serving).WaitAsync(TestNode.Deadline);
    }

    [Fact]
    public async Task Peer_whose_first_address_is_somebody_elses_now_is_reached_at_its_second()
    {
        await using var other = await TestNode.StartAsync("other");
        await using var publisher = await TestNode.StartAsync("publisher");
        await using var node = await TestNode.StartAsync("node");
        var checkpoint = TestCheckpoint.Create(5000);
        await publisher.HoldAsync(checkpoint);
        node.Meet(checkpoint, publisher.Info with { Endpoints = [.. other.Info.Endpoints, "not an address", .. publisher.Info.Endpoints] });

        await node.PullAsync(checkpoint);

        await node.AssertHoldsAsync(checkpoint);
    }

    [Fact]
    public async Task Node_that_calls_itself_is_refused()
    {
        await using var node = await TestNode.StartAsync("node");
        await using var watch = new ConnectionWatch(TimeProvider.System);
        var dialler = new Dialler(new Identity(node.Store.NodeId, "node", null), watch, TimeProvider.System);
        var failure = await Assert.ThrowsAsync<TransferException>(() => dialler.OpenAsync(node.Info, LaneKind.Control, TestNode.Deadline));
        Assert.Contains("called itself", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task More_pullers_than_upload_slots_all_finish()
    {
        var checkpoint = TestCheckpoint.Uniform(8, 300_000);
        await using var publisher = await TestNode.StartAsync("publisher", new TransferOptions { UploadSlots = 1 });
        await publisher.HoldAsync(checkpoint);
        var nodes = new List<TestNode>();
        try
        {
            for (var i = 0; i < 3; i++)
            {
                nodes.Add(await TestNode.StartAsync($"node{i}"));
                nodes[i].Meet(checkpoint, publisher.Info);
            }

            var reports = await Task.WhenAll(nodes.Select(node => node.PullAsync(checkpoint)));
            Assert.All(reports, report => Assert.Equal(checkpoint.TotalBytes, report.BytesFetched));
        }
        finally
        {
            nodes.ForEach(node => node.DisposeAsync().AsTask().Wait());
        }
    }

    [Theory]
    [InlineData(1 << 20, 0)]
    [InlineData(0, 1 << 20)]
    public async Task Pull_under_a_cap_is_not_faster_than_the_cap(long upload, long download)
    {
        var checkpoint = TestCheckpoint.Uniform(3, 300_000);
        await using var publisher = await TestNode.StartAsync("publisher", new TransferOptions { UploadBytesPerSecond = upload });
        await using var node = await TestNode.StartAsync("node", new TransferOptions { Paths = [PathNames.Tcp], DownloadBytesPerSecond = download });
        await publisher.HoldAsync(checkpoint);
        node.Meet(checkpoint, publisher.Info);

        var report = await node.PullAsync(checkpoint);

        // 900,000 bytes at 1 MiB/s, less the tenth of a second that the bucket holds at the start; a slower machine only makes it longer.
        Assert.True(report.Elapsed > TimeSpan.FromSeconds(0.6), $"{report.Elapsed}");
        await node.AssertHoldsAsync(checkpoint);
    }

    [Theory]
    [InlineData("nowhere", "not host:port")]
    [InlineData("127.0.0.1:99999", "not host:port")]
    [InlineData("192.0.2.1:0", "cannot listen")]
    public async Task Address_that_cannot_be_used_is_refused_with_the_reason(string listen, string reason)
    {
        await using var node = await TestNode.StartAsync("node");
        await using var service = new TransferService(
            node.Store, new TransferOptions { Listen = listen }, TimeProvider.System, Microsoft.Extensions.Logging.Abstractions.NullLoggerFactory.Instance);
        var failure = await Assert.ThrowsAsync<TransferException>(() => service.StartAsync(TestNode.Deadline));
        Assert.Equal(TransferError.Listen, failure.Error);
        Assert.Contains(reason, failure.Message, StringComparison.Ordinal);
    }

    /// <summary>Has a node's time pass until something ends, which is due after a while of it; false when that took more than half as long again.</summary>
    private static async Task<bool> EndsWithinAsync(VirtualTime time, TimeSpan due, Task what)
    {
        var began = time.GetTimestamp();
        await Eventually.HoldsAsync(
            () =>
            {
                time.Advance(TimeSpan.FromMilliseconds(10));
                return what.IsCompleted;
            },
            "the connection is closed");
        return time.GetElapsedTime(began) < 1.5 * due;
    }

    /// <summary>Two ends of a connection whose sockets hold little.</summary>
    private static async Task<(Socket Caller, Socket Listener)> ConnectAsync()
    {
        using var listener = new Socket(SocketType.Stream, ProtocolType.Tcp) { SendBufferSize = 64 << 10 };
        listener.Bind(new IPEndPoint(IPAddress.IPv6Loopback, 0));
        listener.Listen();
        var caller = new Socket(SocketType.Stream, ProtocolType.Tcp) { ReceiveBufferSize = 64 << 10 };
        await caller.ConnectAsync(listener.LocalEndPoint!, TestNode.Deadline);
        return (caller, await listener.AcceptAsync(TestNode.Deadline));
    }

    /// <summary>Whatever is sent first, the connection ends.</summary>
    private static async Task ReadToEndAsync(NetworkStream stream)
    {
        var buffer = new byte[4096];
        try
        {
            while (await stream.ReadAsync(buffer, TestNode.Deadline) > 0)
            {
            }
        }
        catch (IOException)
        {
        }
    }
}
