using P2PWeights.Transfer.Connections;

namespace P2PWeights.Transfer.Paths.Tcp;

/// <summary>The path that reaches everybody: shards over a few TCP connections per peer, received straight into their final place.</summary>
internal sealed class TcpPath(int lanesPerPeer, TimeSpan stallTimeout, ByteRate downloadRate) : ITransferPath
{
    public string Name => PathNames.Tcp;

    public ValueTask<PathOpening> OpenAsync(PeerSession peer, CancellationToken cancellationToken)
    {
        var channel = new TcpChannel(peer, lanesPerPeer, stallTimeout, downloadRate);
        channel.Dial();
        return ValueTask.FromResult(PathOpening.Open(channel));
    }
}
