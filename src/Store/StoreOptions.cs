namespace P2PWeights.Store;

/// <summary>Settings of a <see cref="ShardStore"/>.</summary>
public sealed class StoreOptions
{
    /// <summary>Folder of the store: node id, lock, disk tier, index, journal, manifests. Created when missing. Required.</summary>
    public required string DataDirectory { get; init; }

    /// <summary>Size of the memory tier in bytes; 0 for none. Rounded down to 16 MiB. Default 0.</summary>
    public long MemoryBytes { get; init; }

    /// <summary>Memory of GPUs that may hold shards, no GPU twice; needs a memory tier. Default none.</summary>
    public IReadOnlyList<GpuMemory> GpuMemory { get; init; } = [];

    /// <summary>Most bytes that the disk tier may hold; 0 for none. Default 0.</summary>
    public long DiskBytes { get; init; }

    /// <summary>Folder that holds the arena: a tmpfs or hugetlbfs mount. Default <c>/dev/shm</c>.</summary>
    public string ArenaRoot { get; init; } = "/dev/shm";

    /// <summary>When true, the arena is removed at the end: the store belongs to one command. Default false.</summary>
    public bool Ephemeral { get; init; }

    /// <summary>Eviction stops when a tier is filled to this share of its quota. Default 0.9.</summary>
    public double LowWatermark { get; init; } = 0.9;

    /// <summary>
    /// How long a shard on its way in waits, when no tier has room, for leases to end that keep memory which could go. Default 15 s: a lease that a peer does not renew ends in 10.
    /// </summary>
    public TimeSpan RoomTimeout { get; init; } = TimeSpan.FromSeconds(15);

    /// <summary>Bytes per second that the background scrub may read; 0 switches it off. Default 64 MiB/s.</summary>
    public long ScrubBytesPerSecond { get; init; } = 64L << 20;
}
