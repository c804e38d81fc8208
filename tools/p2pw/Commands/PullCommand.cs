using System.CommandLine;
using P2PWeights.Cli.Output;
using P2PWeights.Cli.Settings;
using P2PWeights.Cli.Targets;
using P2PWeights.Client;
using P2PWeights.Transfer;

namespace P2PWeights.Cli.Commands;

/// <summary><c>p2pw pull name@version [--to DIR | --into gpu:N]</c>: brings a checkpoint to this machine, every byte verified.</summary>
internal sealed class PullCommand : CliCommand
{
    private readonly Argument<string> _checkpoint = new("name@version") { Description = "What to pull; a tag may stand for the version." };
    private readonly Option<string?> _to = new("--to")
    {
        HelpName = "DIR",
        Description = "Folder that becomes the checkpoint: missing, empty, or left over from an earlier pull of it. Without it: the node's tiers.",
    };

    private readonly Option<string?> _into = new("--into")
    {
        HelpName = "gpu:N",
        Description = "The GPU whose memory is to hold the checkpoint, of those that the node's --gpu-memory names.",
    };

    private readonly EphemeralNodeOptions _ephemeral = new();
    private readonly TargetOptions _target = new();

    public PullCommand()
        : base(
            "pull",
            "Pull a checkpoint from all peers that hold pieces of it, verified; goes on where an earlier pull stopped.",
            "p2pw pull llama-3/8b@latest --to ./llama",
            "p2pw pull llama-3/8b@step-100 --node /run/p2pweights/node.sock",
            "p2pw pull llama-3/8b@step-100 --into gpu:0",
            "p2pw pull llama-3/8b@step-100 --to ./llama --tracker http://tracker:7400",
            "p2pw pull llama-3/8b@step-100 --to ./llama --discover --paths tcp")
    {
        Add(_checkpoint);
        Add(_to);
        Add(_into);
        _target.AddTo(this);
        _ephemeral.AddTo(this, pulls: true);
    }

    protected override async Task<int> RunAsync(ParseResult arguments, Terminal terminal, CancellationToken cancellationToken)
    {
        var checkpoint = Texts.Checkpoint(arguments.GetRequiredValue(_checkpoint)).ToString();
        var folder = arguments.GetValue(_to) is { } to ? Texts.Option(_to.Name, to, Texts.ParsePath) : null;
        var gpu = arguments.GetValue(_into) is { } into ? Texts.Option(_into.Name, into, Texts.ParseGpu) : null;
        if (folder is not null && gpu is not null)
            throw new NodeException(NodeError.Usage, $"{_to.Name} and {_into.Name} say two places. Nothing was pulled. Leave out one.");
        var request = new CheckpointPullRequest(checkpoint, folder, gpu);
        var target = await _target.ReadAsync(arguments, cancellationToken);
        if (target.Socket is not null)
        {
            _ephemeral.RefuseAll(arguments);
            using var node = target.OpenNode();
            await PullAsync(node, request, terminal, cancellationToken);
            return 0;
        }

        if (folder is null)
            throw new NodeException(
                NodeError.Usage,
                "a pull into the tiers, or onto a GPU, needs a node that keeps them: --node SOCKET. With --tracker, say where the files go: --to DIR.");
        await using var ephemeral = await EphemeralNode.StartAsync(target, _ephemeral, arguments, cancellationToken);
        await PullAsync(ephemeral.Node, request, terminal, cancellationToken);
        return 0;
    }

    private static async Task PullAsync(INodeApi node, CheckpointPullRequest request, Terminal terminal, CancellationToken cancellationToken)
    {
        var latest = new Latest<PullProgress>();
        var report = await new ProgressView(terminal, TimeProvider.System).WatchAsync(
            node.PullAsync(request, latest, cancellationToken),
            () => latest.Value is { } progress ? Frame(request.Checkpoint, progress) : null);
        terminal.Result(JsonShapes.Of(report), text => Reports.Write(text, report));
    }

    private static ProgressFrame Frame(string checkpoint, PullProgress progress) =>
        new(
            progress.Stage == PullStages.Checking ? $"checking what is there of {checkpoint}" : $"pulling {checkpoint}",
            progress.BytesDone,
            progress.BytesTotal,
            progress.Sources > 0
                ? [$"{Format.Bytes(progress.BytesFetched)} received from {Format.Count(progress.Sources, "peer")}{(progress.Paths is { Count: > 0 } paths ? $": {PathTexts.Shares(paths)}" : "")}"]
                : []);
}
