using System.CommandLine;
using P2PWeights.Cli.Output;
using P2PWeights.Cli.Settings;
using P2PWeights.Cli.Targets;

namespace P2PWeights.Cli.Commands;

/// <summary><c>p2pw why name@version</c>: where the time of a node's pull goes, or went.</summary>
internal sealed class WhyCommand : CliCommand
{
    private readonly Argument<string> _checkpoint = new("name@version") { Description = "The checkpoint, by the name it was pulled by; a tag may stand for the version." };
    private readonly TargetOptions _target = new();

    public WhyCommand()
        : base(
            "why",
            "Explain a pull of a node, running or finished: what came from whom by which path, what failed, and what it waited for most.",
            "p2pw why llama-3/8b@latest",
            "p2pw why llama-3/8b@step-100 --node /run/p2pweights/node.sock --json")
    {
        Add(_checkpoint);
        _target.AddNodeTo(this);
    }

    protected override async Task<int> RunAsync(ParseResult arguments, Terminal terminal, CancellationToken cancellationToken)
    {
        var checkpoint = Texts.Checkpoint(arguments.GetRequiredValue(_checkpoint)).ToString();
        var target = await _target.ReadAsync(arguments, cancellationToken);
        using var node = target.OpenNode();
        var explanation = await node.WhyAsync(checkpoint, cancellationToken);
        terminal.Result(JsonShapes.Of(explanation), text => WhyReport.Write(text, explanation));
        return 0;
    }
}
