using P2PWeights.Tracker;

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

    public override IReadOnlyList<Setting> All => [_listen, _data, _lease, _neighbours, ClusterKeyFile, Insecure, Level];

    /// <summary>The settings as the tracker wants them.</summary>
    public TrackerOptions Options(SettingsReader values, IReadOnlyDictionary<string, string> environment) => new()
    {
        Listen = values.Required(_listen),
        DataDirectory = values.Required(_data),
        Lease = values.Required(_lease),
        Neighbours = values.Required(_neighbours),
        ClusterKey = ClusterKeyOf(values, environment, values.Required(_listen)),
    };
}
