namespace P2PWeights.Tracker;

/// <summary>Kinds of failure around the tracker.</summary>
public enum TrackerError
{
    /// <summary>No tracker answered in time.</summary>
    Unreachable,

    /// <summary>The tracker refused the request; the message is its own.</summary>
    Refused,

    /// <summary>The tracker answers, but cannot do this now: its disk failed. The message is its own.</summary>
    Unavailable,

    /// <summary>The cluster key is missing or wrong.</summary>
    NotAllowed,

    /// <summary>The catalog folder is in use by another process.</summary>
    Locked,

    /// <summary>The address to listen on cannot be used.</summary>
    Listen,

    /// <summary>The answer is not one that this version understands.</summary>
    Protocol,
}

/// <summary>A call to the tracker, or its start, failed. The message says what, where, and what to do.</summary>
public sealed class TrackerException(TrackerError error, string message, Exception? inner = null) : Exception(message, inner)
{
    public TrackerError Error { get; } = error;
}
