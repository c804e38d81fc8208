using System.CommandLine;
using P2PWeights.Cli.Output;
using P2PWeights.Cli.Settings;
using P2PWeights.Cli.Targets;

namespace P2PWeights.Cli.Commands;

/// <summary><c>p2pw tag name@version TAG</c>: moves a tag.</summary>
internal sealed class TagCommand : CliCommand
{
    private readonly Argument<string> _checkpoint = new("name@version") { Description = "The version to point at." };
    private readonly Argument<string> _tag = new("TAG") { Description = "The tag; it moves when it exists." };
    private readonly TargetOptions _target = new();

    public TagCommand()
        : base("tag", "Point a tag at a version, so that name@tag means it.", "p2pw tag llama-3/8b@step-100 latest")
    {
        Add(_checkpoint);
        Add(_tag);
        _target.AddTo(this);
    }

    protected override async Task<int> RunAsync(ParseResult arguments, Terminal terminal, CancellationToken cancellationToken)
    {
        var checkpoint = Texts.Checkpoint(arguments.GetRequiredValue(_checkpoint));
        var tag = Texts.Checkpoint($"{checkpoint.Name}@{arguments.GetRequiredValue(_tag)}");
        using var catalog = (await _target.ReadAsync(arguments, cancellationToken)).OpenCatalog();
        await catalog.TagAsync(checkpoint, tag.Version, cancellationToken);
        terminal.Result(new { Tag = tag.ToString(), Checkpoint = checkpoint.ToString() }, text => text.WriteLine($"{tag} is {checkpoint} now"));
        return 0;
    }
}
