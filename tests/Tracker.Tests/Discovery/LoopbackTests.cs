using System.Diagnostics;
using System.Diagnostics.Metrics;
using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Logging.Abstractions;
using P2PWeights.Testing;
using P2PWeights.Tracker.Discovery;
using P2PWeights.Tracker.Discovery.Advertising;
using P2PWeights.Tracker.Discovery.Messages;
using P2PWeights.Tracker.Discovery.Network;
using P2PWeights.Tracker.Tests.Discovery.Messages;

namespace P2PWeights.Tracker.Tests.Discovery;

/// <summary>Real packets on loopback, where all tests of this machine hear each other: every test has a cluster of its own.</summary>
public sealed class LoopbackTests
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(60);
    private static readonly IPEndPoint Group = new(IPAddress.Parse("224.0.0.251"), MulticastDns.Port);

    private readonly DiscoveryOptions _options = new() { Cluster = $"test-{Guid.NewGuid()}", Name = $"tracker {Guid.NewGuid()}"[..30] };

    [Fact]
    public async Task Client_follows_a_tracker_that_moves()
    {
        await using var discovery = new TrackerDiscovery(_options, "key", TimeProvider.System, NullLogger.Instance);
        using var client = new TrackerClient(() => [.. discovery.Trackers.Select(tracker => tracker.Address)], "key", TimeProvider.System);
        using var folder = new TempFolder();
        long epoch;

        // Asked before anybody is there: the call waits.
        var early = client.StatusAsync(default);
        await using (var tracker = await StartAsync(folder, "key"))
        {
            epoch = (await early.WaitAsync(Deadline)).Epoch;
            Assert.Equal(tracker.Address, Assert.Single(discovery.Trackers).Address);
        }

        await Eventually.HoldsAsync(() => discovery.Trackers.Count == 0, "the goodbye");
        await using var moved = await StartAsync(folder, "key");
        Assert.NotEqual(epoch, (await client.StatusAsync(default).WaitAsync(Deadline)).Epoch);
        Assert.Equal(moved.Address, Assert.Single(discovery.Trackers).Address);
    }

    [Fact]
    public async Task Call_with_nobody_found_says_what_to_do()
    {
        var time = new ManualTime();
        using var client = new TrackerClient(() => [], null, time);
        var call = client.StatusAsync(default);
        for (var i = 0; i < 100_000 && !call.IsCompleted; i++)
        {
            time.Advance(TimeSpan.FromMilliseconds(100));
            await Task.Yield();
        }

        var e = await Assert.ThrowsAsync<TrackerException>(() => call.WaitAsync(Deadline));
        Assert.Equal(TrackerError.Unreachable, e.Error);
        Assert.Contains("no tracker was found on the network", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Hostile_packets_are_counted_and_change_nothing()
    {
        var seed = new Seeded();
        using var meter = new Meter("P2PWeights.Test");
        using var counts = new Counts(meter);
        await using var advertiser = new TrackerAdvertiser(_options, null, new IPEndPoint(IPAddress.Loopback, 7400), TimeProvider.System, meter, NullLogger.Instance);
        await using var discovery = new TrackerDiscovery(_options, null, TimeProvider.System, NullLogger.Instance);
        await discovery.FirstAsync(default).WaitAsync(Deadline);

        using var sender = Sender();
        byte[][] bad =
        [
            [],
            Packets.Of("0000 0000 0001 0000 0000 0000 c00c 0001 0001"),
            Packets.Of("0000 8400 ffff ffff ffff ffff"),
            Packets.Of("0000 8400 0000 0001 0000 0000 02 c328 00 0001 0001 00000001 0004 01020304"),
            seed.Bytes(9001),
            seed.Bytes(20_000),
            .. DnsWriter.Write(Packets.Announcement()), // a response from a port that responders do not use
        ];

        // Some more than once: any packet may be lost, and the budget of a second is not to be used up.
        await Eventually.HoldsAsync(
            async () =>
            {
                foreach (var packet in bad)
                {
                    await sender.SendToAsync(packet, Group);
                }

                return counts["malformed"] > 0 && counts["oversized"] > 0 && counts["off-link"] > 0;
            },
            $"the bad packets to be counted: {counts}, {seed}");

        // What was there is there, and newcomers find it.
        Assert.Single(discovery.Trackers);
        await using var late = new TrackerDiscovery(_options, null, TimeProvider.System, NullLogger.Instance);
        await late.FirstAsync(default).WaitAsync(Deadline);
    }

    [Fact]
    public async Task Flood_is_cut_off_and_counted()
    {
        using var meter = new Meter("P2PWeights.Test");
        using var counts = new Counts(meter);
        await using var advertiser = new TrackerAdvertiser(_options, null, new IPEndPoint(IPAddress.Loopback, 7400), TimeProvider.System, meter, NullLogger.Instance);
        using var sender = Sender();
        var packet = DnsWriter.Write(Packets.Query(known: 0))[0];
        await Eventually.HoldsAsync(
            async () =>
            {
                for (var i = 0; i < 1000; i++)
                {
                    await sender.SendToAsync(packet, Group);
                }

                return counts["flood"] > 0;
            },
            $"the flood to be cut off: {counts}");

        await using var discovery = new TrackerDiscovery(_options, null, TimeProvider.System, NullLogger.Instance);
        await discovery.FirstAsync(default).WaitAsync(Deadline);
    }

    [Fact]
    public async Task One_question_from_any_port_is_answered_there()
    {
        using var meter = new Meter("P2PWeights.Test");
        await using var advertiser = new TrackerAdvertiser(_options, null, new IPEndPoint(IPAddress.Loopback, 7400), TimeProvider.System, meter, NullLogger.Instance);
        using var sender = Sender();
        var question = new DnsMessage { Id = 4711, Questions = [new(ServiceNames.Service.Under(_options.Name), RecordType.Text)] };
        var buffer = new byte[1500];
        DnsMessage? answer = null;
        var receiving = sender.ReceiveAsync(buffer);
        await Eventually.HoldsAsync(
            async () =>
            {
                await sender.SendToAsync(DnsWriter.Write(question)[0], Group);
                return receiving.IsCompleted;
            },
            "an answer");
        answer = DnsReader.Read(buffer.AsSpan(0, await receiving));

        Assert.Equal(4711, answer!.Id);
        Assert.Equal(question.Questions, answer.Questions);
        Assert.Equal(_options.Cluster, Assert.Single(answer.Answers).Pairs()["cluster"]);
    }

    private async Task<TrackerServer> StartAsync(TempFolder folder, string key) => await TrackerServer.StartAsync(
        new TrackerOptions { Listen = "127.0.0.1:0", DataDirectory = folder.Path, ClusterKey = key, Advertise = _options }, TimeProvider.System, NullLoggerFactory.Instance, default);

    /// <summary>Somebody on loopback who is no responder.</summary>
    private static Socket Sender()
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        socket.SetSocketOption(SocketOptionLevel.IP, SocketOptionName.MulticastInterface, IPAddress.HostToNetworkOrder(1));
        return socket;
    }

    /// <summary>Packets received, by outcome.</summary>
    private sealed class Counts : IDisposable
    {
        private readonly System.Collections.Concurrent.ConcurrentDictionary<string, long> _counts = new();
        private readonly MeterListener _listener = new();

        public Counts(Meter meter)
        {
            _listener.InstrumentPublished = (instrument, listener) =>
            {
                if (ReferenceEquals(instrument.Meter, meter) && instrument.Name == "p2pw.discovery.received")
                {
                    listener.EnableMeasurementEvents(instrument);
                }
            };
            _listener.SetMeasurementEventCallback<long>((_, value, tags, _) => _counts.AddOrUpdate((string)tags[0].Value!, value, (_, sum) => sum + value));
            _listener.Start();
        }

        public long this[string outcome] => _counts.GetValueOrDefault(outcome);

        public void Dispose() => _listener.Dispose();

        public override string ToString() => string.Join(", ", _counts);
    }
}
