using System.CommandLine;
using Microsoft.Extensions.Logging;
using P2PWeights.Client;
using P2PWeights.Tracker.Discovery;

namespace P2PWeights.Cli.Settings;

/// <summary>What the settings of the two serving commands share.</summary>
internal abstract class ServingSettings(string scope)
{
    /// <summary><c>NODE</c> or <c>TRACKER</c>.</summary>
    public string Scope { get; } = scope;

    /// <summary>Every setting, in the order of the help page.</summary>
    public abstract IReadOnlyList<Setting> All { get; }

    public Option<string?> Config { get; } = new("--config")
    {
        Description = $"JSON file with settings: its keys are the names of the flags. Flags come first, then P2PW_{scope}_... variables, then the file.",
        HelpName = "FILE",
    };

    protected Setting<string> ClusterKeyFile { get; } =
        new("cluster-key-file", "FILE", $"File with the cluster's shared secret; or the secret itself in {ClusterKey.Variable}.", Texts.ParsePath);

    protected Setting<bool> Insecure { get; } =
        new("insecure", "", "Listen beyond loopback without a cluster key.", Texts.ParseSwitch, "false");

    /// <summary>Name of the flag that names the cluster where trackers are discovered.</summary>
    public const string ClusterName = "cluster";

    protected Setting<string> Cluster { get; } =
        new(ClusterName, "NAME", "Name of the cluster, by which its trackers are discovered.", Texts.ParseCluster, DiscoveryOptions.DefaultCluster);

    protected Setting<LogLevel> Level { get; } =
        new("log-level", "LEVEL", "Least level that is logged: debug, information, warning, error.", Texts.ParseLogLevel, "information");

    /// <summary>Adds the flags to a command.</summary>
    public void AddTo(Command command)
    {
        foreach (var setting in All)
            command.Add(setting.Option);
        command.Add(Config);
    }

    /// <summary>Reads the settings; faults are reported together.</summary>
    /// <param name="flags">The command line; null when only environment and file count.</param>
    /// <exception cref="NodeException"><see cref="NodeError.Usage"/>.</exception>
    public SettingsReader Read(ParseResult? flags, IReadOnlyDictionary<string, string> environment, string? configFile) =>
        new(Scope, All, flags, environment, configFile is null ? null : ConfigFile.Read(configFile));

    public LogLevel LogLevelOf(SettingsReader values) => values.Required(Level);

    /// <summary>The cluster key, checked against where the command would listen.</summary>
    protected string? ClusterKeyOf(SettingsReader values, IReadOnlyDictionary<string, string> environment, string listen)
    {
        var key = ClusterKey.Read(values.Optional(ClusterKeyFile), environment);
        ClusterKey.DemandFor(listen, key, values.Required(Insecure));
        return key;
    }

    /// <summary>
    /// Where data lives unless told otherwise: /var/lib for root, else the user's state folder (XDG base directory specification 0.8).
    /// </summary>
    protected static string DefaultData(string part)
    {
        if (Environment.IsPrivilegedProcess)
            return $"/var/lib/p2pweights/{part}";
        var state = Environment.GetEnvironmentVariable("XDG_STATE_HOME");
        return Path.Combine(string.IsNullOrEmpty(state) ? Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".local/state") : state, "p2pweights", part);
    }
}
