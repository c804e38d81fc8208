namespace P2PWeights.Client;

/// <summary>Kinds of failure, one per exit code of the commands.</summary>
public enum NodeError
{
    /// <summary>Anything without a kind of its own: exit code 1.</summary>
    Failed = 1,

    /// <summary>The request makes no sense: a bad name, a missing folder, a target with other content. Exit code 2.</summary>
    Usage = 2,

    /// <summary>No such checkpoint, tag, or node. Exit code 3.</summary>
    NotFound = 3,

    /// <summary>Bytes, a header or a manifest contradict what they should be. Exit code 4.</summary>
    Integrity = 4,

    /// <summary>Nobody who holds what is missing can be reached. Exit code 5.</summary>
    NoPeers = 5,

    /// <summary>A deadline passed, a tracker that does not answer included. Exit code 6.</summary>
    Deadline = 6,

    /// <summary>Refused: cluster key, a locked folder, a name that stands for other content. Exit code 7.</summary>
    NotAllowed = 7,

    /// <summary>No room. Exit code 8.</summary>
    DiskFull = 8,
}

/// <summary>A request to a node failed. The message says what, which shard, peer or file, what was done about it, and what to do next.</summary>
public sealed class NodeException(NodeError error, string message, Exception? inner = null) : Exception(message, inner)
{
    public NodeError Error { get; } = error;

    /// <summary>The exit code that a command ends with.</summary>
    public int ExitCode => (int)Error;
}
