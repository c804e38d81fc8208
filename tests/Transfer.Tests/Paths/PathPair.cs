using P2PWeights.Store;
using P2PWeights.Testing.Faults;
using P2PWeights.Transfer.Connections;

namespace P2PWeights.Transfer.Tests.Paths;

/// <summary>
/// A source and a node, each with its store, and an open channel of a path between them. Every connection runs through <see cref="Proxy"/>; the first one of a
/// session, its control lane, stays unharmed until <see cref="ReopenAsync"/>.
/// </summary>
internal sealed class PathPair : IAsyncDisposable
{
    private readonly ConnectionWatch _watch = new(TimeProvider.System);
    private readonly ITransferPath _path;
    private bool _isClosed = true;

    private PathPair(TestNode source, TestNode node, ITransferPath path)
    {
        (Source, Node, _path) = (source, node, path);
        Proxy = new FaultProxy(source.Transfer.LocalEndPoint) { SparedConnections = 1 };
    }

    public TestNode Source { get; }

    public TestNode Node { get; }

    /// <summary>Between the two.</summary>
    public FaultProxy Proxy { get; }

    public PeerSession Session { get; private set; } = null!;

    public IPathChannel Channel { get; private set; } = null!;

    /// <param name="path">The path of the node, not opened yet; disposed with the pair when it can be.</param>
    public static async Task<PathPair> OpenAsync(TestNode source, TestNode node, ITransferPath path)
    {
        var pair = new PathPair(source, node, path);
        await pair.ConnectAsync(path);
        return pair;
    }

    /// <summary>Ends the session, and opens another one through lines as they are now.</summary>
    public async Task ReopenAsync()
    {
        await CloseAsync();
        await ConnectAsync(_path);
    }

    /// <summary>Ends channel and session.</summary>
    public async Task CloseAsync()
    {
        if (!_isClosed)
        {
            _isClosed = true;
            await Channel.DisposeAsync();
            await Session.DisposeAsync();
        }
    }

    /// <summary>Room in the node's store for a shard of the checkpoint.</summary>
    public ValueTask<ShardWrite> BeginAsync(TestCheckpoint checkpoint, int ordinal = 0) =>
        Node.Store.BeginWriteAsync(checkpoint.Manifest.Shards[ordinal], null, TestNode.Deadline);

    /// <summary>A fetch that must succeed with the right bytes.</summary>
    public async Task FetchRightAsync(TestCheckpoint checkpoint, int ordinal)
    {
        using var write = await BeginAsync(checkpoint, ordinal);
        var outcome = await Channel.FetchAsync(write, _ => { }, TestNode.Deadline);
        Assert.True(outcome.Status == FetchStatus.Ok, $"{outcome}; {Proxy}");
        Assert.True(write.Buffer.Span.SequenceEqual(checkpoint.Bytes[ordinal]), $"shard {ordinal} is wrong; {checkpoint.Seeded}; {Proxy}");
    }

    public async ValueTask DisposeAsync()
    {
        await CloseAsync();
        if (_path is IAsyncDisposable path)
        {
            await path.DisposeAsync();
        }

        await _watch.DisposeAsync();
        await Proxy.DisposeAsync();
        await Node.DisposeAsync();
        await Source.DisposeAsync();
    }

    private async Task ConnectAsync(ITransferPath path)
    {
        var dialler = new Dialler(new Identity(Node.Store.NodeId, "node", null), _watch, TimeProvider.System);
        var through = Source.Info with { Endpoints = [Proxy.EndPoint.ToString()] };
        Session = await PeerSession.OpenAsync(through, dialler, TimeProvider.System, TestNode.Deadline);
        var opening = await path.OpenAsync(Session, TestNode.Deadline);
        Assert.True(opening.Channel is not null, $"{path.Name}: {opening.Reason}; {Proxy}");
        Channel = opening.Channel;
        _isClosed = false;
    }
}
