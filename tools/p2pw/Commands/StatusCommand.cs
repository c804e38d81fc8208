using System.CommandLine;
using P2PWeights.Cli.Output;
using P2PWeights.Cli.Targets;

namespace P2PWeights.Cli.Commands;

/// <summary><c>p2pw status</c>: the state of a node or of the tracker.</summary>
internal sealed class StatusCommand : CliCommand
{
    private readonly TargetOptions _target = new();

    public StatusCommand()
        : base("status", "Show the state of a node, or of the tracker.", "p2pw status", "p2pw status --tracker http://tracker:7400 --json") =>
        _target.AddTo(this);

    protected override async Task<int> RunAsync(ParseResult arguments, Terminal terminal, CancellationToken cancellationToken)
    {
        var target = _target.Read(arguments);
        if (target.Socket is null)
        {
            using var tracker = target.OpenTracker();
            var trackerStatus = await tracker.StatusAsync(cancellationToken);
            terminal.Result(JsonShapes.Of(trackerStatus), text => Reports.Write(text, trackerStatus));
            return 0;
        }

        using var node = target.OpenNode();
        var status = await node.StatusAsync(cancellationToken);
        terminal.Result(JsonShapes.Of(status), text => Reports.Write(text, status));
        return 0;
    }
}
