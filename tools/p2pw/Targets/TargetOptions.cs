using System.CommandLine;
using P2PWeights.Cli.Settings;
using P2PWeights.Client;

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
        Description = $"With --tracker: file with the cluster's shared secret; or the secret itself in {ClusterKey.Variable}.",
    };

    public void AddTo(Command command)
    {
        command.Add(_node);
        command.Add(_tracker);
        command.Add(_clusterKeyFile);
    }

    /// <summary>Whom the command line names; else the node of this machine.</summary>
    /// <exception cref="NodeException">Both are named, or there is no node.</exception>
    public Target Read(ParseResult arguments) =>
        TryRead(arguments) ?? new Target(NodeLocator.Find(SettingsReader.Environment(), File.Exists), [], null);

    /// <summary>Whom the command line names; null when it names nobody.</summary>
    /// <exception cref="NodeException">Both are named, or one cannot be read.</exception>
    public Target? TryRead(ParseResult arguments)
    {
        var keyFile = arguments.GetValue(_clusterKeyFile);
        switch (arguments.GetValue(_node), arguments.GetValue(_tracker))
        {
            case (not null, not null):
                throw new NodeException(NodeError.Usage, "--node and --tracker exclude each other: name the one that should answer.");
            case ({ } socket, null):
                return new Target(Texts.Option(_node.Name, socket, Texts.ParseSocket), [], null);
            case (null, { } trackers):
                return new Target(null, Texts.Option(_tracker.Name, trackers, Texts.ParseTrackers), ClusterKey.Read(keyFile, SettingsReader.Environment()));
            default:
                return null;
        }
    }
}
