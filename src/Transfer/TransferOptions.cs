using System.Collections.Immutable;

namespace P2PWeights.Transfer;

/// <summary>Settings of a <see cref="TransferService"/>.</summary>
public sealed record TransferOptions
{
    /// <summary><c>host:port</c> to listen on for peers; port 0 lets the system choose. Default <c>127.0.0.1:0</c>.</summary>
    public string Listen { get; init; } = "127.0.0.1:0";

    /// <summary>Name shown to peers.</summary>
    public string Name { get; init; } = Environment.MachineName;

    /// <summary>Identity of this machine, as in <see cref="PeerInfo.HostId"/>; empty when nobody is known to share it.</summary>
    public string HostId { get; init; } = "";

    /// <summary>Where this node stands, as in <see cref="PeerInfo.Labels"/>: peers with the same <c>rack</c>, <c>rail</c> or <c>zone</c> are asked before others.</summary>
    public ImmutableSortedDictionary<string, string> Labels { get; init; } = ImmutableSortedDictionary<string, string>.Empty;

    /// <summary>Shared secret of the cluster; null for none. With a key, both sides of every connection prove that they know it.</summary>
    public string? ClusterKey { get; init; }

    /// <summary>Paths allowed, best first, each one of <see cref="PathNames.All"/>. Default <see cref="PathNames.Default"/>.</summary>
    public IReadOnlyList<string> Paths { get; init; } = PathNames.Default;

    /// <summary>TCP connections per peer that carry payload. Default 2.</summary>
    public int LanesPerPeer { get; init; } = 2;

    /// <summary>Shards served at the same time, over all peers; more wait a moment, and are then answered Busy. Default 8.</summary>
    public int UploadSlots { get; init; } = 8;

    /// <summary>
    /// Leases on files that peers on this host may have out, over all of them: each keeps a file of this node open. More are refused, and the peer takes the shard by its next path. Default 1024.
    /// </summary>
    public int MaxFileLeases { get; init; } = 1024;

    /// <summary>Bytes asked for and not yet received, over all sources of a pull. Default 256 MiB.</summary>
    public long WindowBytes { get; init; } = 256L << 20;

    /// <summary>The same of a pull into a GPU: NVLink carries 256 MiB in 0.7 ms, hardly more than the lease and the copy of one shard take together. Default 512 MiB.</summary>
    public long GpuWindowBytes { get; init; } = 512L << 20;

    /// <summary>A source that moves no byte for this long loses its shards to others. Default 2 s.</summary>
    public TimeSpan StallTimeout { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>How long a peer that sent wrong bytes is not asked again. Default 10 min.</summary>
    public TimeSpan BanTime { get; init; } = TimeSpan.FromMinutes(10);

    /// <summary>A pull without any source for this long fails; what was fetched is kept. Default 30 s.</summary>
    public TimeSpan NoSourceTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>Most bytes per second sent, over all peers; 0 for no cap.</summary>
    public long UploadBytesPerSecond { get; init; }

    /// <summary>Most bytes per second received, over all peers; 0 for no cap.</summary>
    public long DownloadBytesPerSecond { get; init; }

    /// <summary>RDMA devices to use, each a device (<c>mlx5_0</c>) or one port of it (<c>mlx5_0:2</c>). Default: every one that works.</summary>
    public IReadOnlyList<string> RdmaDevices { get; init; } = [];

    /// <summary>Entry of each port's GID table to use as its address; null for the best: RoCE v2 with an IPv4 address before all others.</summary>
    public int? RdmaGidIndex { get; init; }

    /// <summary>Queue pairs per pair of devices. Default 2: one alone leaves gaps between its reads.</summary>
    public int RdmaQueuePairs { get; init; } = 2;

    /// <summary>Bytes per RDMA read. Default 1 MiB, below which devices do not reach their line rate.</summary>
    public int RdmaReadBytes { get; init; } = 1 << 20;

    /// <summary>RDMA reads posted at once per queue pair; what is posted cannot be taken back. Default 16.</summary>
    public int RdmaDepth { get; init; } = 16;

    /// <summary>Traffic class (DSCP and ECN bits) of RoCE v2 packets, by which switches tell lossless traffic. Default 0.</summary>
    public int RdmaTrafficClass { get; init; }
}
