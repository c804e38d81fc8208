using System.CommandLine;
using P2PWeights.Cli.Settings;
using P2PWeights.Client;
using P2PWeights.Tracker.Discovery;

namespace P2PWeights.Cli.Targets;

/// <summary>The options that say whom a command talks to.</summary>
internal sealed class TargetOptions
{
    private readonly Option<string?> _node = new("--node")
    {
        HelpName = "SOCKET",
        Description = $"Socket of a running node. Default: ${NodeLocator.Variable}, or the node of this machine.",
    };

    private readonly Option<string?> _tracker = new("--tracker")
    {
        HelpName = "URL[,URL]",
        Description = "Go to the trackers instead, without a running node.",
    };

    private readonly Option<string?> _clusterKeyFile = new("--cluster-key-file")
    {
        HelpName = "FILE",
        Description = $"With --tracker or --discover: file with the cluster's shared secret; or the secret itself in {ClusterKey.Variable}.",
    };

    private readonly Option<bool> _discover = new("--discover")
    {
        Description = "As --tracker, and with all that goes with it, but with the trackers that multicast DNS finds on the network.",
    };

    private readonly Option<string?> _cluster = new($"--{ServingSettings.ClusterName}")
    {
        HelpName = "NAME",
        Description = $"With --discover: name of the cluster whose trackers are meant. Default: {DiscoveryOptions.DefaultCluster}.",
    };

    /// <summary>For a command that trackers can answer as well.</summary>
    public void AddTo(Command command)
    {
        AddNodeTo(command);
        command.Add(_tracker);
        command.Add(_discover);
        command.Add(_cluster);
        command.Add(_clusterKeyFile);
    }

    /// <summary>For a command that only a node can answer: its target is always one.</summary>
    public void AddNodeTo(Command command) => command.Add(_node);

    /// <summary>Whom the command line names; else the node of this machine.</summary>
    /// <exception cref="NodeException">More than one is named, there is no node, or no tracker is found.</exception>
    public async Task<Target> ReadAsync(ParseResult arguments, CancellationToken cancellationToken)
    {
        var target = TryRead(arguments) ?? new Target(NodeLocator.Find(SettingsReader.Environment(), File.Exists), [], null);
        return target.Discover is { } discover
            ? target with { Trackers = (await TrackerSearch.RunAsync(discover, target.ClusterKey, cancellationToken)).Demand(discover) }
            : target;
    }

    /// <summary>Whom the command line names; null when it names nobody. Trackers to be discovered are not yet looked for.</summary>
    /// <exception cref="NodeException">More than one is named, or one cannot be read.</exception>
    public Target? TryRead(ParseResult arguments)
    {
        var keyFile = arguments.GetValue(_clusterKeyFile);
        var cluster = arguments.GetValue(_cluster) is { } name ? Texts.Option(_cluster.Name, name, Texts.ParseCluster) : null;
        if (cluster is not null && !arguments.GetValue(_discover))
            throw new NodeException(NodeError.Usage, $"{_cluster.Name} goes with --discover, which looks for its trackers. Nothing was done.");
        switch (arguments.GetValue(_node), arguments.GetValue(_tracker), arguments.GetValue(_discover))
        {
            case (not null, not null, _):
                throw new NodeException(NodeError.Usage, "--node and --tracker exclude each other: name the one that should answer.");
            case (not null, _, true) or (_, not null, true):
                throw new NodeException(NodeError.Usage, "--discover looks for trackers, and excludes --node and --tracker: name the one that should answer.");
            case ({ } socket, null, false):
                return new Target(Texts.Option(_node.Name, socket, Texts.ParseSocket), [], null);
            case (null, null, true):
                return new Target(null, [], ClusterKey.Read(keyFile, SettingsReader.Environment()), new DiscoveryOptions { Cluster = cluster ?? DiscoveryOptions.DefaultCluster });
            case (null, { } trackers, false):
                return new Target(null, Texts.Option(_tracker.Name, trackers, Texts.ParseTrackers), ClusterKey.Read(keyFile, SettingsReader.Environment()));
            default:
                return null;
        }
    }
}
