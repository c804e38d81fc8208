using System.CommandLine;
using System.Globalization;
using P2PWeights.Cli.Output;
using P2PWeights.Cli.Targets;

namespace P2PWeights.Cli.Commands;

/// <summary><c>p2pw ls [NAME]</c>: what the catalog holds.</summary>
internal sealed class ListCommand : CliCommand
{
    private readonly Argument<string?> _name = new("NAME")
    {
        Description = "Only the versions of this name.",
        Arity = ArgumentArity.ZeroOrOne,
    };

    private readonly TargetOptions _target = new();

    public ListCommand()
        : base("ls", "List the checkpoints in the catalog.", "p2pw ls", "p2pw ls llama-3/8b --tracker http://tracker:7400 --json")
    {
        Add(_name);
        _target.AddTo(this);
    }

    protected override async Task<int> RunAsync(ParseResult arguments, Terminal terminal, CancellationToken cancellationToken)
    {
        using var catalog = (await _target.ReadAsync(arguments, cancellationToken)).OpenCatalog();
        var checkpoints = await catalog.ListAsync(arguments.GetValue(_name), cancellationToken);
        terminal.Result(checkpoints.Select(JsonShapes.Of), text =>
        {
            var table = new TextTable("checkpoint", "tags", ">size", ">files", ">shards", ">available", ">copies", "published", "manifest");
            foreach (var info in checkpoints)
            {
                table.Add(
                    $"{info.Name}@{info.Version}",
                    info.Tags.IsDefaultOrEmpty ? "-" : string.Join(',', info.Tags),
                    Format.Bytes(info.Bytes),
                    info.Files.ToString(CultureInfo.InvariantCulture),
                    info.Shards.ToString(CultureInfo.InvariantCulture),
                    Format.Share(info.AvailableShards, info.Shards),
                    info.CompletePeers.ToString(CultureInfo.InvariantCulture),
                    info.PublishedAt.UtcDateTime.ToString("yyyy-MM-dd HH:mm:ss'Z'", CultureInfo.InvariantCulture),
                    info.Manifest.ToString()[..16]);
            }

            table.Write(text);
        });
        return 0;
    }
}
