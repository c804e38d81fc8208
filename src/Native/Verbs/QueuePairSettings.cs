namespace P2PWeights.Native.Verbs;

/// <summary>What a queue pair is made with.</summary>
public sealed record QueuePairSettings
{
    /// <summary>The port that it uses, counted from 1.</summary>
    public byte Port { get; init; } = 1;

    /// <summary>Requests that may be posted and not yet complete, at most <see cref="DeviceAttributes.MaxQueueDepth"/>. The device may round up.</summary>
    public int Depth { get; init; } = 128;

    /// <summary>Whether the peer may READ through it what its keys allow. False on a side that only reads.</summary>
    public bool RemoteRead { get; init; } = true;
}

/// <summary>
/// Everything that connects a queue pair to its peer's, the two phases (ready to receive, ready to send) in one. Defaults are those for which no better
/// reason is known; numbers: InfiniBand specification 1.2.1, section 9.7, and ibv_modify_qp(3).
/// </summary>
public sealed record QueuePairConnection
{
    /// <summary>The peer's queue pair number, 24 bits.</summary>
    public required uint RemoteNumber { get; init; }

    /// <summary>The packet sequence number that the peer starts at, 24 bits: its <see cref="LocalSequence"/>.</summary>
    public required uint RemoteSequence { get; init; }

    /// <summary>The packet sequence number that this side starts at, 24 bits; random, so that packets of a connection before are not taken for this one's.</summary>
    public required uint LocalSequence { get; init; }

    /// <summary>The peer's port.</summary>
    public required Gid RemoteGid { get; init; }

    /// <summary>The peer's address within an InfiniBand subnet; 0 with Ethernet.</summary>
    public ushort RemoteLid { get; init; }

    /// <summary>Which of the own port's GIDs packets come from.</summary>
    public required int GidIndex { get; init; }

    /// <summary>The smaller of both ports' active MTU.</summary>
    public required PathMtu Mtu { get; init; }

    /// <summary>READs of this side on the wire at a time: at most the own <see cref="DeviceAttributes.MaxReadsOut"/> and the peer's <see cref="ReadsIn"/>.</summary>
    public required int ReadsOut { get; init; }

    /// <summary>READs of the peer answered at a time: at most the own <see cref="DeviceAttributes.MaxReadsIn"/>.</summary>
    public required int ReadsIn { get; init; }

    /// <summary>
    /// Time without an answer until a packet is sent again: 4.096 us x 2^value, up to four times that on hardware; 0 is without end. 16 is 268 ms: with
    /// <see cref="Retries"/> a peer that is gone shows after about 2 s.
    /// </summary>
    public int AckTimeout { get; init; } = 16;

    /// <summary>
    /// How often a packet is sent again, 0 to 7, before the queue pair fails with <see cref="WorkStatus.RetryExceeded"/>. 7 is without end on soft-RoCE
    /// (rxe_comp.c of Linux), so it is never a good choice.
    /// </summary>
    public int Retries { get; init; } = 6;

    /// <summary>InfiniBand service level, 0 to 15; with RoCE v2 the priority.</summary>
    public int ServiceLevel { get; init; }

    /// <summary>DSCP and ECN bits of RoCE v2's IP packets.</summary>
    public int TrafficClass { get; init; }

    /// <summary>Routers that a packet may pass.</summary>
    public int HopLimit { get; init; } = 64;
}
