using P2PWeights.Transfer.Connections;

namespace P2PWeights.Transfer.Tests.Paths.Local;

/// <summary>A session of a node with a peer.</summary>
internal sealed class PeerConnection : IAsyncDisposable
{
    private readonly ConnectionWatch _watch = new(TimeProvider.System);

    private PeerConnection()
    {
    }

    public PeerSession Session { get; private set; } = null!;

    public static async Task<PeerConnection> OpenAsync(TestNode node, PeerInfo peer)
    {
        var connection = new PeerConnection();
        var dialler = new Dialler(new Identity(node.Store.NodeId, node.Name, null), connection._watch, TimeProvider.System);
        connection.Session = await PeerSession.OpenAsync(peer, dialler, TimeProvider.System, TestNode.Deadline);
        return connection;
    }

    public async ValueTask DisposeAsync()
    {
        await Session.DisposeAsync();
        await _watch.DisposeAsync();
    }
}
