namespace P2PWeights.Transfer;

/// <summary>An established, authenticated conversation with one peer: control messages, subscriptions, and what paths need to set themselves up.</summary>
public sealed class PeerSession : IAsyncDisposable
{
    internal PeerSession() => throw new NotImplementedException();

    public PeerInfo Peer => throw new NotImplementedException();

    public ValueTask DisposeAsync() => throw new NotImplementedException();
}
