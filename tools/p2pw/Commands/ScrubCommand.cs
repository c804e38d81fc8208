using System.CommandLine;
using P2PWeights.Cli.Output;
using P2PWeights.Cli.Targets;
using P2PWeights.Client;

namespace P2PWeights.Cli.Commands;

/// <summary><c>p2pw scrub</c>: a node hashes all it holds again.</summary>
internal sealed class ScrubCommand : CliCommand
{
    private readonly TargetOptions _target = new();

    public ScrubCommand()
        : base("scrub", "Hash all that a node holds again; repair from peers what is wrong (exit code 4 if it cannot).", "p2pw scrub --node /run/p2pweights/node.sock") =>
        _target.AddNodeTo(this);

    protected override async Task<int> RunAsync(ParseResult arguments, Terminal terminal, CancellationToken cancellationToken)
    {
        var target = await _target.ReadAsync(arguments, cancellationToken);
        using var node = target.OpenNode();
        var latest = new Latest<NodeScrubReport>();
        var report = await new ProgressView(terminal, TimeProvider.System).WatchAsync(
            node.ScrubAsync(latest, cancellationToken),
            () => latest.Value is { } progress ? new ProgressFrame("scrubbing", progress.Bytes, 0, [Format.Count(progress.Checked, "replica"), $"{progress.Wrong.Count} wrong"]) : null);
        terminal.Result(JsonShapes.Of(report), text => Reports.Write(text, report));
        return report.Unrepaired == 0 ? 0 : (int)NodeError.Integrity;
    }
}
