namespace P2PWeights.Transfer;

/// <summary>Kinds of failure of a transfer.</summary>
public enum TransferError
{
    /// <summary>No peer holds what is missing, or none can be reached.</summary>
    NoSources,

    /// <summary>The address to listen on cannot be used.</summary>
    Listen,

    /// <summary>The peer does not know the cluster key, or this node does not know the peer's.</summary>
    NotAllowed,

    /// <summary>The peer speaks another protocol or version, or broke it.</summary>
    Protocol,

    /// <summary>The peer, or this node, does not offer the path that was asked for; another path may do.</summary>
    PathRefused,
}

/// <summary>A transfer failed. The message says what, which peer, and what to do.</summary>
public sealed class TransferException(TransferError error, string message, Exception? inner = null) : Exception(message, inner)
{
    public TransferError Error { get; } = error;
}
