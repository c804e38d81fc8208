using System.CommandLine;
using P2PWeights.Cli.Output;
using P2PWeights.Cli.Settings;
using P2PWeights.Cli.Targets;
using P2PWeights.Client;
using P2PWeights.Store.Content;
using P2PWeights.Store.Folders;

namespace P2PWeights.Cli.Commands;

/// <summary><c>p2pw verify DIR name@version</c>: compares a folder with what was published.</summary>
internal sealed class VerifyCommand : CliCommand
{
    private readonly Argument<string> _folder = new("DIR") { Description = "Folder to compare." };
    private readonly Argument<string> _checkpoint = new("name@version") { Description = "What it should be." };
    private readonly TargetOptions _target = new();

    public VerifyCommand()
        : base("verify", "Compare a folder with a checkpoint; name every differing file and extent (exit code 4).", "p2pw verify ./llama llama-3/8b@step-100")
    {
        Add(_folder);
        Add(_checkpoint);
        _target.AddTo(this);
    }

    protected override async Task<int> RunAsync(ParseResult arguments, Terminal terminal, CancellationToken cancellationToken)
    {
        var folder = Texts.Option("DIR", arguments.GetRequiredValue(_folder), Texts.ParsePath);
        var checkpoint = Texts.Checkpoint(arguments.GetRequiredValue(_checkpoint));
        var target = await _target.ReadAsync(arguments, cancellationToken);
        if (!Directory.Exists(folder))
            throw new NodeException(NodeError.Usage, $"there is no folder {folder}. Nothing was compared.");

        var hashed = new Latest<long>();
        var report = await new ProgressView(terminal, TimeProvider.System).WatchAsync(
            CompareAsync(target, folder, checkpoint, hashed, cancellationToken),
            () => hashed.Value > 0 ? new ProgressFrame($"comparing {folder}", hashed.Value, 0, []) : null);
        terminal.Result(JsonShapes.Of(report), text => Reports.Write(text, folder, report));
        return report.Differences.Count == 0 ? 0 : (int)NodeError.Integrity;
    }

    private static async Task<VerifyReport> CompareAsync(
        Target target, string folder, CheckpointName checkpoint, IProgress<long> hashed, CancellationToken cancellationToken)
    {
        if (target.Socket is not null)
        {
            using var node = target.OpenNode();
            return await node.VerifyAsync(folder, checkpoint.ToString(), hashed, cancellationToken);
        }

        // The manifest is all it takes: no node is needed to read a folder of this machine.
        using var catalog = new TrackerCatalog(target.OpenTracker());
        var (info, manifest) = await catalog.FindAsync(checkpoint, cancellationToken);
        var differences = await CheckpointFolder.CompareAsync(folder, manifest, hashed, cancellationToken);
        return new VerifyReport($"{info.Name}@{info.Version}", manifest.Digest, manifest.Files.Length, manifest.TotalBytes, differences);
    }
}
