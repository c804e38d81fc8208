using P2PWeights.Tracker;
using P2PWeights.Tracker.Discovery;

namespace P2PWeights.Cli.Settings;

/// <summary>Settings of <c>p2pw tracker</c>.</summary>
internal sealed class TrackerSettings() : ServingSettings("TRACKER")
{
    private readonly Setting<string> _listen =
        new("listen", "HOST:PORT", "Where to listen for HTTP; port 0 lets the system choose.", Texts.ParseEndpoint, "127.0.0.1:7400");
    private readonly Setting<string> _data = new("data", "DIR", "Folder of the catalog.", Texts.ParsePath, DefaultData("tracker"));
    private readonly Setting<TimeSpan> _lease =
        new("lease", "DURATION", "How long a peer counts as alive without a word.", Texts.ParseDuration, "10s");
    private readonly Setting<int> _neighbours = new("neighbours", "N", "Peers handed out per swarm.", Texts.ParseCount, "16");

    private readonly Setting<bool> _advertise =
        new("advertise", "", "Tell the networks of this machine by multicast DNS where the tracker listens.", Texts.ParseSwitch, "false");

    public override IReadOnlyList<Setting> All => [_listen, _data, _lease, _neighbours, _advertise, Cluster, ClusterKeyFile, Insecure, Level];

    /// <summary>The settings as the tracker wants them.</summary>
    public TrackerOptions Options(SettingsReader values, IReadOnlyDictionary<string, string> environment) => new()
    {
        Listen = values.Required(_listen),
        DataDirectory = values.Required(_data),
        Lease = values.Required(_lease),
        Neighbours = values.Required(_neighbours),
        Advertise = values.Required(_advertise) ? new DiscoveryOptions { Cluster = values.Required(Cluster) } : null,
        ClusterKey = ClusterKeyOf(values, environment, values.Required(_listen)),
    };
}
