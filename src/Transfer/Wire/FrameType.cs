namespace P2PWeights.Transfer.Wire;

/// <summary>What a frame is. The numbers are the wire format; docs/protocol.md, "Peer protocol", gives the payload of each.</summary>
internal enum FrameType : byte
{
    /// <summary>Caller to listener, first frame: who calls, for which kind of lane, with a nonce.</summary>
    Hello = 1,

    /// <summary>Listener's answer: who listens, its nonce, and its proof of the cluster key.</summary>
    HelloAck = 2,

    /// <summary>Caller's proof of the cluster key.</summary>
    Proof = 3,

    /// <summary>Listener: the lane is open.</summary>
    Ready = 4,

    /// <summary>Listener, in place of its next handshake frame: why it closes the connection.</summary>
    Error = 5,

    /// <summary>Are you there? Answered by <see cref="Pong"/> with the same request id.</summary>
    Ping = 6,

    Pong = 7,

    /// <summary>Control lane: tell me which shards of a manifest you hold, now and as that changes.</summary>
    Subscribe = 16,

    /// <summary>Control lane: no more of that.</summary>
    Unsubscribe = 17,

    /// <summary>Control lane: all shards held of a manifest.</summary>
    Bitmap = 18,

    /// <summary>Control lane: shards gained and lost since the last <see cref="Bitmap"/> or <see cref="Have"/>.</summary>
    Have = 19,

    /// <summary>Data lane: send me a shard. Answered by exactly one of <see cref="Data"/>, <see cref="Busy"/>, <see cref="NotFound"/>, <see cref="Cancelled"/>.</summary>
    Fetch = 32,

    /// <summary>The shard's bytes, raw; as many as <see cref="Fetch"/> asked for.</summary>
    Data = 33,

    /// <summary>No free upload slot; ask again later.</summary>
    Busy = 34,

    /// <summary>The shard is not held.</summary>
    NotFound = 35,

    /// <summary>Data and lease lane: the fetch or Locate of this request id is not wanted any more. One that has not begun is answered by <see cref="Cancelled"/>.</summary>
    Cancel = 36,

    Cancelled = 37,

    /// <summary>Lease lane: promise me a shard's bytes where they lie. Answered by exactly one of <see cref="LocatedFile"/>, <see cref="LocatedMemory"/>, <see cref="LocatedGpu"/>, <see cref="LocateRefused"/>, <see cref="Busy"/>, <see cref="NotFound"/>, <see cref="Cancelled"/>.</summary>
    Locate = 48,

    /// <summary>A lease on a range of a file that the caller can open itself, if it is on this host.</summary>
    LocatedFile = 49,

    /// <summary>A lease on registered memory that the caller reads with one-sided operations.</summary>
    LocatedMemory = 50,

    /// <summary>Lease lane: these leases are not needed any more. Not answered.</summary>
    Release = 51,

    /// <summary>Lease lane: all my leases for another while. Answered by <see cref="Renewed"/>.</summary>
    Renew = 52,

    Renewed = 53,

    /// <summary>No lease is to be had for a reason other than <see cref="Busy"/> and <see cref="NotFound"/>; says which. Another path may do.</summary>
    LocateRefused = 54,

    /// <summary>Lease lane: the Locate of this request id is being worked on; its answer is to come.</summary>
    Locating = 55,

    /// <summary>Lease lane: show me that we share a host. Answered by <see cref="HostProof"/>.</summary>
    ProveHost = 56,

    /// <summary>Where the listener's arena is, and the proof that it knows what stands in it.</summary>
    HostProof = 57,

    /// <summary>A lease on a range of a GPU's memory that the caller can open, if it is of this host and this user.</summary>
    LocatedGpu = 58,

    /// <summary>Lease lane: here are my queue pairs, connect yours to them. Answered by <see cref="QueuesConnected"/> or <see cref="QueuesRefused"/>.</summary>
    ConnectQueues = 60,

    QueuesConnected = 61,

    /// <summary>This side offers no RDMA to the caller; says why.</summary>
    QueuesRefused = 62,
}
