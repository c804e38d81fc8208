using System.Collections.Immutable;
using P2PWeights.Store;
using P2PWeights.Tracker.Discovery;
using P2PWeights.Transfer;

namespace P2PWeights.Client;

/// <summary>Settings of a <see cref="PeerNode"/>.</summary>
public sealed class NodeOptions
{
    /// <summary>Name for people. Default: the machine's name.</summary>
    public string Name { get; init; } = Environment.MachineName;

    /// <summary>Base addresses of the trackers, tried in order. At least one, unless trackers are discovered too.</summary>
    public required IReadOnlyList<Uri> Trackers { get; init; }

    /// <summary>Looks for more trackers on the networks of this machine by multicast DNS; null for not. They come behind <see cref="Trackers"/>.</summary>
    public DiscoveryOptions? Discover { get; init; }

    /// <summary><c>host:port</c> of the peer protocol; port 0 lets the system choose. Default <c>127.0.0.1:0</c>.</summary>
    public string Listen { get; init; } = "127.0.0.1:0";

    /// <summary><c>host:port</c> that peers should use when it differs from <see cref="Listen"/>.</summary>
    public string? Advertise { get; init; }

    /// <summary>Folder of the store. Required.</summary>
    public required string DataDirectory { get; init; }

    /// <summary>Memory tier in bytes. Default 2 GiB.</summary>
    public long MemoryBytes { get; init; } = 2L << 30;

    /// <summary>Memory of GPUs that may hold shards; needs a memory tier. Default none.</summary>
    public IReadOnlyList<GpuMemory> GpuMemory { get; init; } = [];

    /// <summary>Folder in which the memory tier makes its own: a tmpfs or hugetlbfs mount. Default <c>/dev/shm</c>.</summary>
    public string ArenaRoot { get; init; } = "/dev/shm";

    /// <summary>Disk tier in bytes. Default 20 GiB.</summary>
    public long DiskBytes { get; init; } = 20L << 30;

    /// <summary>Unix socket of the local API; null for none (a node inside a command).</summary>
    public string? Socket { get; init; }

    /// <summary>Shared secret of the cluster; null for none.</summary>
    public string? ClusterKey { get; init; }

    /// <summary><c>zone</c>, <c>rack</c>, <c>rail</c> and others.</summary>
    public ImmutableSortedDictionary<string, string> Labels { get; init; } = ImmutableSortedDictionary<string, string>.Empty;

    /// <summary>
    /// When true, the node lives inside a command: its memory tier is not kept for a next start, and it does not scrub. Nothing outside
    /// <see cref="DataDirectory"/> is left behind; that folder is removed by the caller, who made it.
    /// </summary>
    public bool Ephemeral { get; init; }

    /// <summary>It lives inside a command, which nobody else can ask for anything: what it holds goes with it, so that its copy of a checkpoint is none to count on.</summary>
    internal bool IsPassing => Ephemeral && Socket is null;

    /// <summary>Most bytes per second sent; 0 for no cap.</summary>
    public long UploadBytesPerSecond { get; init; }

    /// <summary>Most bytes per second received; 0 for no cap.</summary>
    public long DownloadBytesPerSecond { get; init; }

    /// <summary>Paths by which shards may come from peers, best first, each one of <see cref="PathNames.All"/>. Default <see cref="PathNames.Default"/>.</summary>
    public IReadOnlyList<string> Paths { get; init; } = PathNames.Default;

    /// <summary>RDMA devices to use, each a device or <c>DEVICE:PORT</c>; empty for every one that works.</summary>
    public IReadOnlyList<string> RdmaDevices { get; init; } = [];

    /// <summary>Entry of each RDMA port's GID table to use as its address; null for the best.</summary>
    public int? RdmaGidIndex { get; init; }

    /// <summary>Traffic class (DSCP and ECN bits) of RoCE v2 packets.</summary>
    public int RdmaTrafficClass { get; init; }

    /// <summary>How long a pull waits without any source. Default 30 s.</summary>
    public TimeSpan NoSourceTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>Bytes per second that the background scrub reads; 0 for none. Default 64 MiB/s.</summary>
    public long ScrubBytesPerSecond { get; init; } = 64L << 20;
}
