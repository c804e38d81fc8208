namespace P2PWeights.Transfer.Wire;

/// <summary>What one peer may make another hold or wait for. Chosen so that thousands of silent or lying peers cost little, and no honest one comes near.</summary>
internal static class WireLimits
{
    /// <summary>Largest payload before a peer has proved itself.</summary>
    public const int MaxHandshakeBytes = 4 << 10;

    /// <summary>Largest control payload: a bitmap of 8 million shards (128 TiB of 16 MiB shards).</summary>
    public const int MaxControlBytes = 1 << 20;

    /// <summary>Largest payload that is no list: a digest, a size, a sentence.</summary>
    public const int MaxSmallBytes = 1 << 10;

    /// <summary>Largest payload that holds a path: PATH_MAX characters of up to 3 bytes, and some numbers.</summary>
    public const int MaxPathBytes = 16 << 10;

    /// <summary>Largest payload that holds a reason.</summary>
    public const int MaxReasonBytes = 4 << 10;

    /// <summary>Largest Release: 9 bytes for each lease.</summary>
    public const int MaxReleaseBytes = (MaxReleases * 9) + 64;

    /// <summary>Largest list of queue pairs: below 64 bytes per device and 11 per queue pair.</summary>
    public const int MaxQueuesBytes = (MaxQueueDevices * (64 + (MaxQueuesPerDevice * 11))) + 64;

    /// <summary>Largest shard that is asked for or served, whatever a manifest says.</summary>
    public const int MaxShardBytes = 1 << 30;

    /// <summary>Largest shard count of a swarm: what fits a <see cref="MaxControlBytes"/> bitmap with room for the fields around it.</summary>
    public const int MaxShards = (MaxControlBytes - 64) * 8;

    /// <summary>Ordinals in one Have frame; at most 5 bytes each in MessagePack.</summary>
    public const int MaxHaveOrdinals = 64 << 10;

    /// <summary>Longest name of a peer, in UTF-16 units.</summary>
    public const int MaxNameLength = 256;

    /// <summary>Connections served at the same time; more are refused.</summary>
    public const int MaxConnections = 4096;

    /// <summary>Callers that have not shaken hands yet, at the same time. One more waits, until one is through or the one that has waited longest is closed, after <see cref="HandshakePatience"/>.</summary>
    public const int MaxHandshakes = 256;

    /// <summary>Fetches asked for on one lane and not yet answered.</summary>
    public const int MaxOutstandingFetches = 256;

    /// <summary>Swarms subscribed to on one control lane.</summary>
    public const int MaxSubscriptions = 256;

    /// <summary>Requests of one lease lane not yet answered.</summary>
    public const int MaxOutstandingLocates = 256;

    /// <summary>Leases out on one lane. A node that borrows a whole checkpoint of a neighbour's memory holds one per shard: 1 TiB of 16 MiB shards.</summary>
    public const int MaxLeases = 64 << 10;

    /// <summary>Leases of one node on this host over all its lanes, or of all nodes at one other address, that keep a file of the listener's open, and brief ones on its arena.</summary>
    public const int MaxOpenFileLeases = 256;

    /// <summary>Leases in one Release frame.</summary>
    public const int MaxReleases = 4096;

    /// <summary>Devices that one side offers for RDMA.</summary>
    public const int MaxQueueDevices = 16;

    /// <summary>Queue pairs per device.</summary>
    public const int MaxQueuesPerDevice = 16;

    /// <summary>How long a lease holds without renewal. Short, because the bytes of a caller that died stay in place for as long; a stopped process is back within it.</summary>
    public static readonly TimeSpan LeaseTime = TimeSpan.FromSeconds(10);

    /// <summary>The longest lease that a caller believes.</summary>
    public static readonly TimeSpan MaxLeaseTime = TimeSpan.FromSeconds(60);

    /// <summary>
    /// A brief lease is not renewed beyond this, counted from when it was given: it is for reading a shard once, which takes milliseconds. All leases on memory are
    /// brief (they keep an upload slot), and those on files that would keep too much of the arena.
    /// </summary>
    public static readonly TimeSpan MaxBriefLeaseTime = TimeSpan.FromSeconds(60);

    /// <summary>How often a caller renews its leases: two renewals may be lost.</summary>
    public static readonly TimeSpan LeaseRenewInterval = LeaseTime / 3;

    /// <summary>For an answer to any request on a lease lane.</summary>
    public static readonly TimeSpan LeaseRequestTimeout = TimeSpan.FromSeconds(30);

    /// <summary>A Locate that has waited this long, for a shard to be read from disk and hashed for instance, is said to be worked on, every now and then.</summary>
    public static readonly TimeSpan LocatingDelay = TimeSpan.FromMilliseconds(500);

    /// <summary>And not any more when it has waited this long: then it hangs, for all that the caller can know.</summary>
    public static readonly TimeSpan LocatingTime = TimeSpan.FromSeconds(10);

    /// <summary>For a listener to connect queue pairs.</summary>
    public static readonly TimeSpan ConnectQueuesTimeout = TimeSpan.FromSeconds(10);

    /// <summary>From the connection to Ready.</summary>
    public static readonly TimeSpan HandshakeTimeout = TimeSpan.FromSeconds(5);

    /// <summary>How long a caller may take for it whatever others want: honest ones take milliseconds, and on a busy host many of them.</summary>
    public static readonly TimeSpan HandshakePatience = TimeSpan.FromSeconds(1);

    /// <summary>From the first byte of a frame to its last, and between two pieces of one.</summary>
    public static readonly TimeSpan FrameTimeout = TimeSpan.FromSeconds(10);

    /// <summary>Between two frames of a caller; callers ping their control lane every <see cref="PingInterval"/>.</summary>
    public static readonly TimeSpan IdleTimeout = TimeSpan.FromSeconds(60);

    /// <summary>How often a caller pings its control lane.</summary>
    public static readonly TimeSpan PingInterval = TimeSpan.FromSeconds(10);

    /// <summary>For one slice of payload (see Serving.ShardSender) to leave: a peer that reads slower than about 70 KB/s is cut off.</summary>
    public static readonly TimeSpan SendTimeout = TimeSpan.FromSeconds(60);

    /// <summary>Changes of the own holdings are collected for this long before subscribers are told.</summary>
    public static readonly TimeSpan HaveDelay = TimeSpan.FromMilliseconds(15);

    /// <summary>Largest payload of a frame of this type, checked before anything is allocated.</summary>
    public static uint MaxPayloadBytes(FrameType type) => type switch
    {
        FrameType.Hello or FrameType.HelloAck or FrameType.Proof or FrameType.Error => MaxHandshakeBytes,
        FrameType.Subscribe or FrameType.Bitmap or FrameType.Have => MaxControlBytes,
        FrameType.Unsubscribe or FrameType.Fetch or FrameType.Busy => MaxSmallBytes,
        FrameType.Locate or FrameType.LocatedMemory or FrameType.LocatedGpu or FrameType.ProveHost or FrameType.Renewed => MaxSmallBytes,
        FrameType.LocatedFile or FrameType.HostProof => MaxPathBytes,
        FrameType.LocateRefused or FrameType.QueuesRefused => MaxReasonBytes,
        FrameType.Release => MaxReleaseBytes,
        FrameType.ConnectQueues or FrameType.QueuesConnected => MaxQueuesBytes,
        FrameType.Data => MaxShardBytes,
        _ => 0,
    };
}
