using System.Collections.Immutable;
using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Logging.Abstractions;
using P2PWeights.Testing;
using P2PWeights.Transfer.Connections;
using P2PWeights.Transfer.Leasing;
using P2PWeights.Transfer.Serving;
using P2PWeights.Transfer.Sessions;
using P2PWeights.Transfer.Swarms;
using P2PWeights.Transfer.Wire;

namespace P2PWeights.Transfer.Tests.Leasing;

/// <summary>A store that is served with queues of paper, and a caller with a session. Each side has a clock of its own.</summary>
internal sealed class LeasePair : IAsyncDisposable
{
    private readonly ConnectionWatch _watch = new(TimeProvider.System);
    private readonly ByteRate _rate;
    private readonly TransferMetrics _metrics = new();
    private readonly SwarmRegistry _swarms;
    private readonly PeerServer _server;
    private readonly Dialler _dialler;
    private bool _isServing = true;
    private bool _isCalling = true;

    private LeasePair(TestNode source, int slots, int files, long bytesPerSecond, TimeProvider listener, TimeProvider caller)
    {
        Source = source;
        Slots = new UploadSlots(slots);
        _rate = new ByteRate(bytesPerSecond, listener);
        _swarms = new SwarmRegistry(source.Store, TimeProvider.System);
        Serving = new ServingContext(source.Store, _swarms, Slots, files, _rate, _metrics, listener, NullLogger.Instance) { Queues = Queues };
        _server = new PeerServer(
            new Identity(source.Store.NodeId, "source", null), new PeerBook(new TransferOptions(), _metrics, listener, NullLogger.Instance), _watch, Serving);
        _dialler = new Dialler(new Identity(Guid.NewGuid(), "caller", null), _watch, caller);
    }

    public TestNode Source { get; }

    public FakeQueues Queues { get; } = new();

    public UploadSlots Slots { get; }

    public ServingContext Serving { get; }

    public PeerSession Session { get; private set; } = null!;

    public LeaseSession Leases { get; private set; } = null!;

    /// <summary>Set when queue pairs are connected on more than one lane; on one, those before must be gone first.</summary>
    public bool HasQueuesOnManyLanes { get; set; }

    /// <summary>Leases that the source's store has out.</summary>
    public long LeasesOut => Source.Store.Usage.Leases;

    private PeerInfo Info => new(Source.Store.NodeId, "source", [_server.LocalEndPoint.ToString()], "host", ImmutableSortedDictionary<string, string>.Empty);

    public static async Task<LeasePair> OpenAsync(
        TestCheckpoint? held = null, int slots = 16, long bytesPerSecond = 0, TimeProvider? listener = null, TimeProvider? caller = null, long memory = 64 << 20, int files = 1024)
    {
        var source = await TestNode.StartAsync("source", memory: memory);
        if (held is not null)
        {
            await source.HoldAsync(held);
        }

        var pair = new LeasePair(source, slots, files, bytesPerSecond, listener ?? TimeProvider.System, caller ?? TimeProvider.System);
        await pair._server.StartAsync("127.0.0.1:0", TestNode.Deadline);
        pair.Session = await PeerSession.OpenAsync(pair.Info, pair._dialler, caller ?? TimeProvider.System, TestNode.Deadline);
        pair.Leases = await pair.Session.LeasesAsync(TestNode.Deadline);
        return pair;
    }

    /// <summary>A lease lane without a session at its caller's end, to send frames that none would.</summary>
    /// <param name="caller">Who opens it; null for the pair's caller.</param>
    public Task<OpenLane> OpenLaneAsync(Guid? caller = null) =>
        (caller is { } other ? new Dialler(new Identity(other, "another", null), _watch, TimeProvider.System) : _dialler).OpenAsync(Info, LaneKind.Lease, TestNode.Deadline);

    /// <summary>A lease lane whose caller is at another address, under an id made up for it.</summary>
    public async Task<FrameConnection> CallFromAsync(IPAddress address)
    {
        var socket = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        socket.Bind(new IPEndPoint(address, 0));
        await socket.ConnectAsync(_server.LocalEndPoint, TestNode.Deadline);
        var connection = new FrameConnection(socket, TimeProvider.System);
        await Handshake.CallAsync(connection, new Identity(Guid.NewGuid(), "another", null), LaneKind.Lease, Source.Store.NodeId, TestNode.Deadline);
        return connection;
    }

    /// <summary>A lease that must be given.</summary>
    public async Task<SourceLease> LeaseAsync(Store.Content.ShardInfo shard, LeaseKind kind)
    {
        var outcome = await Leases.LocateAsync(shard, kind, TestNode.Deadline);
        Assert.True(outcome is { Status: FetchStatus.Ok, Lease: not null }, $"{outcome.Status}: {outcome.Detail}");
        return outcome.Lease;
    }

    public Task NothingIsOutAsync() => Eventually.HoldsAsync(() => LeasesOut == 0 && Serving.Leased.Taken == 0 && Serving.Files.Taken == 0, "every lease is back");

    public async Task CloseSessionAsync()
    {
        if (_isCalling)
        {
            _isCalling = false;
            await Session.DisposeAsync();
        }
    }

    /// <summary>The node stops, as far as peers see.</summary>
    public async Task StopServingAsync()
    {
        if (_isServing)
        {
            _isServing = false;
            await _server.DisposeAsync();
        }
    }

    public async ValueTask DisposeAsync()
    {
        await CloseSessionAsync();
        await StopServingAsync();
        await _watch.DisposeAsync();
        Assert.Equal(0, LeasesOut);
        Assert.All(Queues.Exporters, exporter =>
        {
            Assert.Empty(exporter.Wrongs);
            Assert.True(exporter.IsDisposed && (exporter.WasFirst || HasQueuesOnManyLanes));
        });
        _swarms.Dispose();
        _metrics.Dispose();
        await Source.DisposeAsync();
    }
}
