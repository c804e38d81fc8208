using System.CommandLine;
using P2PWeights.Cli.Doctor;
using P2PWeights.Cli.Output;
using P2PWeights.Cli.Settings;
using P2PWeights.Cli.Targets;
using P2PWeights.Client;

namespace P2PWeights.Cli.Commands;

/// <summary><c>p2pw doctor</c>: what a node and a tracker would run with here, where each value comes from, and what stands in the way.</summary>
internal sealed class DoctorCommand : CliCommand
{
    private readonly TargetOptions _target = new();
    private readonly NodeSettings _node = new();
    private readonly TrackerSettings _tracker = new();
    private readonly Option<string?> _config = new("--config")
    {
        HelpName = "FILE",
        Description = "Configuration file of the node to look at.",
    };

    public DoctorCommand()
        : base(
            "doctor",
            "Check this machine, and show every setting and where it comes from.",
            "p2pw doctor",
            "p2pw doctor --config /etc/p2pweights/node.json --tracker http://tracker:7400")
    {
        _target.AddTo(this);
        Add(_config);
    }

    protected override async Task<int> RunAsync(ParseResult arguments, Terminal terminal, CancellationToken cancellationToken)
    {
        var environment = SettingsReader.Environment();
        var named = _target.TryRead(arguments);
        var nodeValues = _node.Read(null, environment, arguments.GetValue(_config));
        var trackerValues = _tracker.Read(null, environment, null);

        List<Finding> findings = [];
        NodeOptions? options = null;
        try
        {
            options = _node.Options(nodeValues, environment);
        }
        catch (NodeException exception)
        {
            findings.Add(new("settings", Outcome.Failure, exception.Message.ReplaceLineEndings(" ")));
        }

        if (options is not null)
        {
            findings.AddRange(MachineChecks.All(options));
            findings.AddRange(RdmaChecks.All(options));
            findings.AddRange(GpuChecks.All(options.GpuMemory));
            var socket = named?.Socket ?? (environment.TryGetValue(NodeLocator.Variable, out var variable) ? variable : options.Socket!);
            findings.Add(await ReachChecks.NodeAsync(socket, demanded: named?.Socket is not null, cancellationToken));
            if (named?.Socket is not null)
                findings.Add(new("tracker", Outcome.Note, "the named node's own, see above; --tracker URL looks at another"));
            else
                await CheckTrackersAsync(named ?? new Target(null, options.Trackers, options.ClusterKey, options.Discover), demanded: named is not null, findings, cancellationToken);
        }

        terminal.Result(
            new
            {
                Healthy = findings.All(finding => finding.Outcome != Outcome.Failure),
                Findings = findings.Select(JsonShapes.Of),
                NodeSettings = nodeValues.Effective,
                TrackerSettings = trackerValues.Effective,
            },
            text =>
            {
                Reports.Write(text, findings);
                WriteSettings(text, "node", nodeValues);
                WriteSettings(text, "tracker", trackerValues);
            });
        return findings.Any(finding => finding.Outcome == Outcome.Failure) ? (int)NodeError.Failed : 0;
    }

    private static async Task CheckTrackersAsync(Target trackers, bool demanded, List<Finding> findings, CancellationToken cancellationToken)
    {
        if (trackers.Discover is { } discover)
        {
            var (finding, found) = await ReachChecks.DiscoveryAsync(discover, trackers.ClusterKey, demanded, cancellationToken);
            findings.Add(finding);
            trackers = trackers with { Trackers = [.. trackers.Trackers.Concat(found).Distinct()] };
        }
        else
        {
            findings.Add(new("discovery", Outcome.Note, "off: trackers are named; --discover finds those that run with --advertise on the same network"));
        }

        if (trackers.Trackers.Count > 0)
        {
            findings.Add(await ReachChecks.TrackerAsync(trackers, demanded, cancellationToken));
            findings.Add(await ReachChecks.ClockAsync(trackers.Trackers[0], TimeProvider.System, cancellationToken));
        }
    }

    private static void WriteSettings(TextWriter text, string command, SettingsReader values)
    {
        text.WriteLine();
        var table = new TextTable($"p2pw {command}", "value", "from");
        foreach (var setting in values.Effective)
            table.Add(setting.Name, setting.Value ?? "-", setting.Source);
        table.Write(text);
    }
}
