namespace P2PWeights.Transfer;

/// <summary>
/// Why a fetch or a path failed, in one word: the metrics' tag <c>reason</c>, and the keys of the failures in reports. The words are stable; what
/// happened in a case is told by the sentence beside them.
/// </summary>
public static class FailureReasons
{
    /// <summary>The path does not reach the peer from here.</summary>
    public const string Unreachable = "unreachable";

    /// <summary>The lease ended, or could not be renewed, before the bytes were read.</summary>
    public const string LeaseExpired = "lease-expired";

    /// <summary>The lease lane, a queue pair or another connection of the path alone was lost.</summary>
    public const string LaneLost = "lane-lost";

    /// <summary>The network device or link failed.</summary>
    public const string DeviceLost = "device-lost";

    /// <summary>What the lease named is not there (any more): another file, another nonce, fewer bytes.</summary>
    public const string Moved = "moved";

    /// <summary>The peer gives no lease for now: it has enough of them out, its memory has no room, or its devices are lost.</summary>
    public const string Refused = "refused";

    /// <summary>No byte came in time.</summary>
    public const string Stall = "stall";

    /// <summary>The bytes do not hash to the digest.</summary>
    public const string WrongBytes = "wrong-bytes";

    /// <summary>The peer has no free upload slot.</summary>
    public const string Busy = "busy";

    /// <summary>The peer does not hold the shard.</summary>
    public const string NotFound = "not-found";

    /// <summary>The peer answered against the protocol.</summary>
    public const string Protocol = "protocol";

    /// <summary>The connection to the peer broke.</summary>
    public const string Disconnected = "disconnected";

    /// <summary>This node's store could not take the shard.</summary>
    public const string Store = "store";

    /// <summary>Anything without a word of its own.</summary>
    public const string Failed = "failed";
}
