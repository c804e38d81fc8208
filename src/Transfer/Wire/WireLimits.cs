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

    /// <summary>Largest shard that is asked for or served, whatever a manifest says.</summary>
    public const int MaxShardBytes = 1 << 30;

    /// <summary>Largest shard count of a swarm: what fits a <see cref="MaxControlBytes"/> bitmap with room for the fields around it.</summary>
    public const int MaxShards = (MaxControlBytes - 64) * 8;

    /// <summary>Ordinals in one Have frame; at most 5 bytes each in MessagePack.</summary>
    public const int MaxHaveOrdinals = 64 << 10;

    /// <summary>Longest name of a peer, in UTF-16 units.</summary>
    public const int MaxNameLength = 256;

    /// <summary>Connections served at the same time; more are closed at once.</summary>
    public const int MaxConnections = 4096;

    /// <summary>Fetches asked for on one lane and not yet answered.</summary>
    public const int MaxOutstandingFetches = 256;

    /// <summary>Swarms subscribed to on one control lane.</summary>
    public const int MaxSubscriptions = 256;

    /// <summary>From the connection to Ready.</summary>
    public static readonly TimeSpan HandshakeTimeout = TimeSpan.FromSeconds(5);

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
        FrameType.Bitmap or FrameType.Have => MaxControlBytes,
        FrameType.Subscribe or FrameType.Unsubscribe or FrameType.Fetch or FrameType.Busy => MaxSmallBytes,
        FrameType.Data => MaxShardBytes,
        _ => 0,
    };
}
