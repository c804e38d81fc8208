using System.CommandLine;
using P2PWeights.Cli.Output;
using P2PWeights.Cli.Settings;
using P2PWeights.Cli.Targets;
using P2PWeights.Client;
using P2PWeights.Store.Content;

namespace P2PWeights.Cli.Commands;

/// <summary><c>p2pw publish DIR name@version</c>: makes a folder's files available to the cluster.</summary>
internal sealed class PublishCommand : CliCommand
{
    private readonly Argument<string> _folder = new("DIR") { Description = "Folder whose files become the checkpoint." };
    private readonly Argument<string> _checkpoint = new("name@version") { Description = "What it is called from now on." };
    private readonly Option<bool> _copy = new("--copy")
    {
        Description = "Copy the bytes into the node's tiers. Without it the files are served from where they are and must stay as they are.",
    };

    private readonly Option<string[]> _tags = new("--tag")
    {
        HelpName = "TAG",
        Description = "Point this tag at the version, once it is visible. May be given several times.",
    };

    private readonly Option<string[]> _metadata = new("--metadata")
    {
        HelpName = "KEY=VALUE",
        Description = "Free metadata; it is part of the content. May be given several times.",
    };

    private readonly Option<string?> _maxShard = new("--max-shard")
    {
        HelpName = "SIZE",
        Description = "Largest shard. Default: 16MiB. Publishers that should share shards must agree on it.",
    };

    private readonly Option<string?> _serveFor = new("--serve-for")
    {
        HelpName = "DURATION",
        Description = "With --tracker: how long to serve at most while no other node holds a whole copy; a pull with --tracker is none. Default: until one does.",
    };

    private readonly EphemeralNodeOptions _ephemeral = new();
    private readonly TargetOptions _target = new();

    public PublishCommand()
        : base(
            "publish",
            "Publish a folder: it becomes visible whole, or not at all.",
            "p2pw publish ./llama llama-3/8b@step-100 --tag latest",
            "p2pw publish ./llama llama-3/8b@step-100 --tracker http://tracker:7400 --serve-for 10m")
    {
        Add(_folder);
        Add(_checkpoint);
        Add(_copy);
        Add(_tags);
        Add(_metadata);
        Add(_maxShard);
        _target.AddTo(this);
        Add(_serveFor);
        _ephemeral.AddTo(this, pulls: false);
    }

    protected override async Task<int> RunAsync(ParseResult arguments, Terminal terminal, CancellationToken cancellationToken)
    {
        var checkpoint = Texts.Checkpoint(arguments.GetRequiredValue(_checkpoint));
        var request = new PublishRequest(
            Texts.Option("DIR", arguments.GetRequiredValue(_folder), Texts.ParsePath),
            checkpoint.ToString(),
            arguments.GetValue(_copy),
            arguments.GetValue(_tags) ?? [],
            Texts.Option(_metadata.Name, arguments.GetValue(_metadata) ?? [], pairs => Texts.ParsePairs(pairs)),
            arguments.GetValue(_maxShard) is { } size ? Texts.Option(_maxShard.Name, size, Texts.ParseShardSize) : Manifest.DefaultMaxShardBytes);
        TimeSpan? serveFor = arguments.GetValue(_serveFor) is { } duration ? Texts.Option(_serveFor.Name, duration, Texts.ParseDuration) : null;
        var target = await _target.ReadAsync(arguments, cancellationToken);
        if (target.Socket is not null)
        {
            _ephemeral.RefuseAll(arguments);
            using var node = target.OpenNode();
            await PublishAsync(node, request, terminal, cancellationToken);
            return 0;
        }

        if (request.Copy)
            throw new NodeException(
                NodeError.Usage,
                "--copy needs a node that keeps the bytes: --node SOCKET. With --tracker the files are served from where they are.");
        await using var ephemeral = await EphemeralNode.StartAsync(target, _ephemeral, arguments, cancellationToken);
        await PublishAsync(ephemeral.Node, request, terminal, cancellationToken);
        await ServeAsync(ephemeral.Node, checkpoint, serveFor, terminal, cancellationToken);
        return 0;
    }

    private static async Task PublishAsync(INodeApi node, PublishRequest request, Terminal terminal, CancellationToken cancellationToken)
    {
        var latest = new Latest<PublishProgress>();
        var report = await new ProgressView(terminal, TimeProvider.System).WatchAsync(
            node.PublishAsync(request, latest, cancellationToken),
            () => latest.Value is { } progress ? new ProgressFrame($"{progress.Stage} {request.Checkpoint}", progress.BytesDone, progress.BytesTotal, []) : null);
        terminal.Result(JsonShapes.Of(report), text => Reports.Write(text, report));
    }

    /// <summary>
    /// The node in this command is the only one that holds the checkpoint, until another has pulled it: ending earlier would leave a name
    /// without bytes.
    /// </summary>
    private static async Task ServeAsync(
        PeerNode node, CheckpointName checkpoint, TimeSpan? serveFor, Terminal terminal, CancellationToken cancellationToken)
    {
        using var bound = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var copied = node.WaitForCopyAsync(checkpoint.ToString(), bound.Token);
        try
        {
            var soon = Task.Delay(TimeSpan.FromSeconds(1), bound.Token);
            if (await Task.WhenAny(copied, soon) == soon && !cancellationToken.IsCancellationRequested)
                terminal.Note($"serving {checkpoint} from here until another node holds a whole copy{(serveFor is { } most ? $", at most {Format.Time(most)}" : "")}; Ctrl-C ends it");
            if (serveFor is { } limit)
                bound.CancelAfter(limit);
            await copied;
        }
        catch (OperationCanceledException) when (bound.IsCancellationRequested)
        {
            terminal.Note($"no other node holds a whole copy of {checkpoint}: it is in the catalog, and cannot be pulled until somebody publishes it again.");
            cancellationToken.ThrowIfCancellationRequested();
            throw new NodeException(
                NodeError.Deadline,
                $"stopped serving {checkpoint} after {Format.Time(serveFor!.Value)} without another copy. Serve longer, or publish through a node: --node SOCKET.");
        }
    }
}
