using System.CommandLine;
using P2PWeights.Cli.Output;
using P2PWeights.Cli.Settings;
using P2PWeights.Cli.Targets;
using P2PWeights.Cli.Watching;
using P2PWeights.Client;

namespace P2PWeights.Cli.Commands;

/// <summary><c>p2pw status</c>: the state of a node or of the tracker; with <c>--watch</c>, of a swarm, until it has what it pulls.</summary>
internal sealed class StatusCommand : CliCommand
{
    private readonly Option<string?> _watch = new("--watch")
    {
        HelpName = "name@version",
        Description = "Watch the nodes that pull a checkpoint until nobody does any more: progress, rate and path of each, and how far they are from the bound: the time in which the node that is furthest behind could have the rest at --rate. Ctrl-C ends it.",
    };

    private readonly Option<string?> _rate = new("--rate")
    {
        HelpName = "RATE",
        Description = "With --watch: what one node can receive, from which the bound follows. Default: the best rate that a node showed meanwhile.",
    };

    private readonly Option<int> _nodes = new("--nodes")
    {
        HelpName = "N",
        Description = "With --watch: at most so many nodes are listed, those with most left to pull. Default: 20.",
        DefaultValueFactory = _ => 20,
    };

    private readonly TargetOptions _target = new();

    public StatusCommand()
        : base(
            "status",
            "Show the state of a node, or of the tracker; watch a swarm.",
            "p2pw status",
            "p2pw status --tracker http://tracker:7400 --json",
            "p2pw status --watch llama-3/8b@latest --rate 12GB")
    {
        Add(_watch);
        Add(_rate);
        Add(_nodes);
        _target.AddTo(this);
    }

    protected override async Task<int> RunAsync(ParseResult arguments, Terminal terminal, CancellationToken cancellationToken)
    {
        var target = await _target.ReadAsync(arguments, cancellationToken);
        if (arguments.GetValue(_watch) is { } watched)
        {
            var checkpoint = Texts.Checkpoint(watched);
            var rate = arguments.GetValue(_rate) is { } text ? Texts.Option(_rate.Name, text, Texts.ParseRate) : 0;
            var nodes = arguments.GetValue(_nodes) is >= 1 and var count ? count : throw new NodeException(NodeError.Usage, "--nodes is a number, 1 or more");
            using var catalog = target.OpenCatalog();
            await new SwarmView(terminal, TimeProvider.System).RunAsync(
                new SwarmWatch(rate, nodes), token => catalog.SwarmAsync(checkpoint, SwarmWatch.MostLookedAt, token), cancellationToken);
            return 0;
        }

        foreach (var option in (Option[])[_rate, _nodes])
        {
            if (arguments.GetResult(option) is { Implicit: false })
            {
                throw new NodeException(NodeError.Usage, $"{option.Name} says how a swarm is watched: it takes --watch name@version");
            }
        }

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
