using System.CommandLine;
using P2PWeights.Cli.Output;
using P2PWeights.Cli.Settings;
using P2PWeights.Cli.Targets;

namespace P2PWeights.Cli.Commands;

/// <summary><c>p2pw show name@version [--tensors]</c>: one checkpoint, looked into.</summary>
internal sealed class ShowCommand : CliCommand
{
    private readonly Argument<string> _checkpoint = new("name@version") { Description = "What to show; a tag may stand for the version." };
    private readonly Option<bool> _tensors = new("--tensors") { Description = "List the tensors too." };
    private readonly TargetOptions _target = new();

    public ShowCommand()
        : base("show", "Show a checkpoint: files, tensors, metadata, availability.", "p2pw show llama-3/8b@latest", "p2pw show llama-3/8b@step-100 --tensors --json")
    {
        Add(_checkpoint);
        Add(_tensors);
        _target.AddTo(this);
    }

    protected override async Task<int> RunAsync(ParseResult arguments, Terminal terminal, CancellationToken cancellationToken)
    {
        var checkpoint = Texts.Checkpoint(arguments.GetRequiredValue(_checkpoint));
        var tensors = arguments.GetValue(_tensors);
        using var catalog = (await _target.ReadAsync(arguments, cancellationToken)).OpenCatalog();
        var details = await catalog.ShowAsync(checkpoint, cancellationToken);
        terminal.Result(JsonShapes.Of(details, tensors), text => Reports.Write(text, details, tensors));
        return 0;
    }
}
