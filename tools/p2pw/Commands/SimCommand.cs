using System.CommandLine;
using P2PWeights.Cli.Output;
using P2PWeights.Cli.Settings;
using P2PWeights.Client;
using P2PWeights.Sim;

namespace P2PWeights.Cli.Commands;

/// <summary><c>p2pw sim</c>: a swarm in virtual time, by the policy that nodes run.</summary>
internal sealed class SimCommand : CliCommand
{
    private static readonly SimOptions Defaults = new();

    private readonly Option<int> _peers = Number("--peers", $"Nodes that start to pull together. Default: {Defaults.Peers}.", Defaults.Peers);
    private readonly Option<int> _shards = Number("--shards", $"Shards of the checkpoint. Default: {Defaults.Shards}.", Defaults.Shards);
    private readonly Option<int> _seed = Number("--seed", $"The same options and seed make the same run. Default: {Defaults.Seed}.", Defaults.Seed);
    private readonly Option<string?> _shardSize = new("--shard-size") { HelpName = "SIZE", Description = "Size of each shard. Default: 16MiB." };
    private readonly Option<string?> _rate = new("--rate") { HelpName = "RATE", Description = "Bytes per second of each node's card, in each direction. Default: 1.25GB." };
    private readonly Option<string?> _latency = new("--latency") { HelpName = "TIME", Description = "Between any two nodes. Default: 0.1ms." };
    private readonly Option<int> _publishers = Number("--publishers", "Nodes that published it, each with an equal part of the shards. Default: 1.", Defaults.Publishers);
    private readonly Option<double> _slow = new("--slow") { HelpName = "PART", Description = "Part of the peers with a quarter of the rate, 0 to 1." };
    private readonly Option<int> _kill = Number("--kill", "Peers that are killed half-way.", 0);
    private readonly Option<bool> _killPublishers = new("--kill-publishers") { Description = "Kill the publishers when they have brought every shard once." };
    private readonly Option<int> _late = Number("--late", "Further peers that begin half-way.", 0);
    private readonly Option<double> _held = new("--held") { HelpName = "PART", Description = "Part of the shards that all but the late peers hold already, 0 to below 1." };
    private readonly Option<int> _racks = Number("--racks", "Racks that the nodes are spread over. Default: 1, a flat network.", Defaults.Racks);
    private readonly Option<double> _oversubscription = new("--oversubscription")
    {
        HelpName = "N",
        Description = "How many times more the nodes of a rack send together than its uplink. Default: 1.",
        DefaultValueFactory = _ => Defaults.Oversubscription,
    };

    private readonly Option<string?> _svg = new("--svg") { HelpName = "FILE", Description = "Draw the progress of the swarm into this file." };

    public SimCommand()
        : base(
            "sim",
            "Simulate a swarm in virtual time: how near to the bound would so many nodes finish?",
            "p2pw sim --peers 1024 --shards 1024 --seed 1",
            "p2pw sim --peers 256 --shards 512 --racks 16 --oversubscription 4 --svg swarm.svg",
            "p2pw sim --peers 32 --shards 1024 --slow 0.1 --kill 5 --late 8 --json")
    {
        foreach (var option in (Option[])[_peers, _shards, _seed, _shardSize, _rate, _latency, _publishers, _slow, _kill, _killPublishers, _late, _held, _racks, _oversubscription, _svg])
            Add(option);
    }

    public override string? Note => SimText.Bound;

    protected override async Task<int> RunAsync(ParseResult arguments, Terminal terminal, CancellationToken cancellationToken)
    {
        var simulation = NewSimulation(OptionsOf(arguments));
        var svg = arguments.GetValue(_svg) is { } text ? RequireWritable(Texts.Option(_svg.Name, text, Texts.ParsePath)) : null;
        var started = TimeProvider.System.GetTimestamp();
        var report = await RunAsync(simulation, cancellationToken);
        var took = TimeProvider.System.GetElapsedTime(started);
        if (svg is not null)
            await File.WriteAllTextAsync(svg, ProgressChart.Draw(report), cancellationToken);
        terminal.Result(JsonShapes.Of(report, took), text => SimText.Write(text, report, took));
        return 0;
    }

    private static Option<int> Number(string name, string description, int byDefault) =>
        new(name) { HelpName = "N", Description = description, DefaultValueFactory = _ => byDefault };

    /// <summary>A run may take minutes: that its picture has no place is said before.</summary>
    private static string RequireWritable(string path)
    {
        var folder = Path.GetDirectoryName(path);
        return Directory.Exists(path) ? throw new NodeException(NodeError.Usage, $"--svg: {path} is a folder, not a file. Nothing was simulated.")
            : folder is null || Directory.Exists(folder) ? path
            : throw new NodeException(NodeError.Usage, $"--svg: there is no folder {folder}. Nothing was simulated.");
    }

    private static Simulation NewSimulation(SimOptions options)
    {
        try
        {
            return new Simulation(options);
        }
        catch (ArgumentException e)
        {
            throw new NodeException(NodeError.Usage, $"{e.Message}. Nothing was simulated.");
        }
    }

    private static async Task<SimReport> RunAsync(Simulation simulation, CancellationToken cancellationToken)
    {
        try
        {
            return await Task.Run(() => simulation.Run(cancellationToken), cancellationToken);
        }
        catch (LostShardsException e)
        {
            throw new NodeException(NodeError.NoPeers, $"{e.Message}. Kill fewer, or without --kill-publishers.");
        }
    }

    private SimOptions OptionsOf(ParseResult arguments) => Defaults with
    {
        Peers = arguments.GetValue(_peers),
        Shards = arguments.GetValue(_shards),
        Seed = arguments.GetValue(_seed),
        ShardBytes = arguments.GetValue(_shardSize) is { } size ? Texts.Option(_shardSize.Name, size, Texts.ParseShardSize) : Defaults.ShardBytes,
        BytesPerSecond = arguments.GetValue(_rate) is { } rate ? Texts.Option(_rate.Name, rate, Texts.ParseRate) : Defaults.BytesPerSecond,
        Latency = arguments.GetValue(_latency) is { } latency ? Texts.Option(_latency.Name, latency, Texts.ParseDuration) : Defaults.Latency,
        Publishers = arguments.GetValue(_publishers),
        SlowPart = arguments.GetValue(_slow),
        Killed = arguments.GetValue(_kill),
        KillPublishers = arguments.GetValue(_killPublishers),
        Late = arguments.GetValue(_late),
        HeldPart = arguments.GetValue(_held),
        Racks = arguments.GetValue(_racks),
        Oversubscription = arguments.GetValue(_oversubscription),
    };
}
