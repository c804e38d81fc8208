using System.CommandLine;
using P2PWeights.Cli.Output;
using P2PWeights.Cli.Settings;
using P2PWeights.Cli.Targets;

namespace P2PWeights.Cli.Commands;

/// <summary><c>p2pw rm name@version</c>: takes a version or a tag out of the catalog.</summary>
internal sealed class RemoveCommand : CliCommand
{
    private readonly Argument<string> _checkpoint = new("name@version")
    {
        Description = "A version, which goes with its tags, or a tag, which goes alone.",
    };

    private readonly TargetOptions _target = new();

    public RemoveCommand()
        : base("rm", "Remove a version or a tag from the catalog; files stay.", "p2pw rm llama-3/8b@step-100")
    {
        Add(_checkpoint);
        _target.AddTo(this);
    }

    protected override async Task<int> RunAsync(ParseResult arguments, Terminal terminal, CancellationToken cancellationToken)
    {
        var checkpoint = Texts.Checkpoint(arguments.GetRequiredValue(_checkpoint));
        using var catalog = (await _target.ReadAsync(arguments, cancellationToken)).OpenCatalog();
        await catalog.RemoveAsync(checkpoint, cancellationToken);
        terminal.Result(new { Removed = checkpoint.ToString() }, text => text.WriteLine($"removed {checkpoint} from the catalog"));
        return 0;
    }
}
