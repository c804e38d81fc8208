namespace P2PWeights.Transfer.Paths.Rdma;

/// <summary>The right of a peer to read a range by one device.</summary>
internal interface IReadRight
{
    /// <summary>What the peer reads with.</summary>
    uint Key { get; }

    /// <summary>Ends it: on return the key does not work any more. Never fails.</summary>
    ValueTask EndAsync();
}
