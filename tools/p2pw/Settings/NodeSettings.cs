using System.Collections.Immutable;
using P2PWeights.Cli.Targets;
using P2PWeights.Client;
using P2PWeights.Store;
using P2PWeights.Tracker.Discovery;
using P2PWeights.Transfer;

namespace P2PWeights.Cli.Settings;

/// <summary>Settings of <c>p2pw node</c>.</summary>
internal sealed class NodeSettings() : ServingSettings("NODE")
{
    private readonly Setting<string> _name = new("name", "NAME", "Name for people.", Texts.ParseName, Environment.MachineName);
    private readonly Setting<IReadOnlyList<Uri>> _tracker =
        new("tracker", "URL[,URL]", "Trackers, tried in order.", Texts.ParseTrackers, "http://127.0.0.1:7400");
    private readonly Setting<bool> _discover =
        new("discover", "", "Find trackers by multicast DNS: those that run with --advertise on the same network. Without --tracker, only those.", Texts.ParseSwitch, "false");
    private readonly Setting<string> _listen =
        new("listen", "HOST:PORT", "Where to listen for peers; port 0 lets the system choose.", Texts.ParseEndpoint, "127.0.0.1:7501");
    private readonly Setting<string> _advertise =
        new("advertise", "HOST:PORT", "Where peers reach this node, when that is not --listen.", Texts.ParseEndpoint);
    private readonly Setting<string> _data = new("data", "DIR", "Folder of the store.", Texts.ParsePath, DefaultData("node"));
    private readonly Setting<long> _memory = new("memory", "SIZE", "Memory tier.", Texts.ParseBytes, "2GiB");
    private readonly Setting<IReadOnlyList<GpuMemory>> _gpuMemory =
        new("gpu-memory", "GPU=SIZE[,GPU=SIZE]", "Memory of GPUs, by their numbers, that holds shards for other processes of this host. None without.", Texts.ParseGpuMemory);
    private readonly Setting<string> _arena =
        new("arena", "DIR", "Mount that holds the memory tier: a tmpfs or hugetlbfs.", Texts.ParsePath, "/dev/shm");
    private readonly Setting<long> _disk = new("disk", "SIZE", "Disk tier.", Texts.ParseBytes, "20GiB");
    private readonly Setting<string> _socket =
        new("socket", "PATH", "Unix socket for commands on this machine.", Texts.ParseSocket, NodeLocator.DefaultForServing(SettingsReader.Environment()));
    private readonly Setting<ImmutableSortedDictionary<string, string>> _labels =
        new("labels", "KEY=VALUE,...", "Labels such as zone, rack, rail.", Texts.ParsePairs);
    private readonly Setting<IReadOnlyList<string>> _paths =
        new(AllowedPaths.List, "PATH[,PATH]", AllowedPaths.ListHelp, Texts.ParsePaths, string.Join(',', PathNames.Default));
    private readonly IReadOnlyDictionary<string, Setting<bool>> _offSwitches = PathNames.All.ToDictionary(
        path => path, path => new Setting<bool>(AllowedPaths.OffSwitch(path), "", AllowedPaths.OffHelp(path), Texts.ParseSwitch, "false"));
    private readonly Setting<IReadOnlyList<string>> _rdmaDevices =
        new("rdma-devices", "NAME[,NAME]", "RDMA devices to use, each a device or DEVICE:PORT.", Texts.ParseNames);
    private readonly Setting<int?> _rdmaGidIndex =
        new("rdma-gid-index", "N", "Entry of each RDMA port's GID table to use; the best without.", text => Texts.ParseByte(text));
    private readonly Setting<int> _rdmaTrafficClass =
        new("rdma-traffic-class", "N", "Traffic class (DSCP and ECN bits) of RoCE v2 packets.", Texts.ParseByte, "0");
    private readonly Setting<long> _uploadLimit =
        new("upload-limit", "RATE", "Most bytes per second sent; 0 for no limit.", Texts.ParseRate, "0");
    private readonly Setting<long> _downloadLimit =
        new("download-limit", "RATE", "Most bytes per second received; 0 for no limit.", Texts.ParseRate, "0");
    private readonly Setting<TimeSpan> _noSourceTimeout =
        new("no-source-timeout", "DURATION", "How long a pull waits without any source.", Texts.ParseDuration, "30s");
    private readonly Setting<long> _scrubRate =
        new("scrub-rate", "RATE", "Bytes per second that the background scrub reads; 0 for none.", Texts.ParseRate, "64MiB");

    private readonly Setting<bool> _ephemeral =
        new("ephemeral", "", "Keep the memory tier for no next start, and do not scrub: for a node that lives as long as a job.", Texts.ParseSwitch, "false");

    public override IReadOnlyList<Setting> All =>
        [_name, _tracker, _discover, Cluster, _listen, _advertise, _data, _memory, _gpuMemory, _arena, _disk, _socket, _labels, _paths, .. _offSwitches.Values, _rdmaDevices, _rdmaGidIndex, _rdmaTrafficClass, _uploadLimit, _downloadLimit, _noSourceTimeout, _scrubRate, _ephemeral, ClusterKeyFile, Insecure, Level];

    /// <summary>The settings as the node wants them.</summary>
    public NodeOptions Options(SettingsReader values, IReadOnlyDictionary<string, string> environment) => new()
    {
        Name = values.Required(_name),
        Trackers = values.Required(_discover) && !values.IsSet(_tracker) ? [] : values.Required(_tracker),
        Discover = values.Required(_discover) ? new DiscoveryOptions { Cluster = values.Required(Cluster) } : null,
        Listen = values.Required(_listen),
        Advertise = values.Optional(_advertise),
        DataDirectory = values.Required(_data),
        MemoryBytes = values.Required(_memory),
        GpuMemory = values.Optional(_gpuMemory) ?? [],
        ArenaRoot = values.Required(_arena),
        DiskBytes = values.Required(_disk),
        Socket = values.Required(_socket),
        Labels = values.Optional(_labels) ?? ImmutableSortedDictionary<string, string>.Empty,
        Paths = AllowedPaths.Of(values.Required(_paths), path => values.Required(_offSwitches[path])),
        RdmaDevices = values.Optional(_rdmaDevices) ?? [],
        RdmaGidIndex = values.Optional(_rdmaGidIndex),
        RdmaTrafficClass = values.Required(_rdmaTrafficClass),
        UploadBytesPerSecond = values.Required(_uploadLimit),
        DownloadBytesPerSecond = values.Required(_downloadLimit),
        NoSourceTimeout = values.Required(_noSourceTimeout),
        ScrubBytesPerSecond = values.Required(_scrubRate),
        Ephemeral = values.Required(_ephemeral),
        ClusterKey = ClusterKeyOf(values, environment, values.Required(_listen)),
    };
}
