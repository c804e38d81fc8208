using System.CommandLine;
using System.Globalization;
using P2PWeights.Bench.Measuring;

namespace P2PWeights.Bench.Swarm;

/// <summary><c>bench swarm</c>: many nodes that want the same checkpoint at once, each behind its own caps, against the bound, the simulator, BitTorrent and a web server.</summary>
internal static class SwarmBench
{
    /// <summary>Runs of minutes each.</summary>
    private const int DefaultRuns = 3;

    private static readonly string[] Anchors = ["sim", "aria2", "nginx"];

    public static Command CreateCommand()
    {
        var nodes = new Option<int>("--nodes") { Description = "Nodes, the publisher included. Default: 32.", DefaultValueFactory = _ => 32 };
        Demand(nodes, count => count is >= 4 and <= 128, "--nodes takes 4 to 128");
        var shards = new Option<int>("--shards") { Description = "Shards of the checkpoint. Default: 512.", DefaultValueFactory = _ => 512 };
        Demand(shards, count => count is >= 8 and <= 65536, "--shards takes 8 to 65536");
        var shard = CommonOptions.Size("--shard", "Size of a shard; a power of two, as torrents have it.", "512KiB");
        Demand(shard, bytes => bytes is >= 16384 and <= 16 << 20 && long.IsPow2(bytes), "--shard takes a power of two from 16KiB to 16MiB");
        var rate = CommonOptions.Size("--rate", "Bytes per second that each node may send, and as many that it may receive.", "1MiB");
        var fault = new Option<string?>("--fault") { Description = "What goes wrong meanwhile: " + string.Join("; ", SwarmFault.All.Select(fault => $"{fault.Name}: {fault.Description}")) + "." };
        fault.AcceptOnlyFromAmong([.. SwarmFault.All.Select(fault => fault.Name)]);
        var against = new Option<string[]>("--against") { Description = $"What else to measure: {string.Join(", ", Anchors)}. Default: nothing. With sim the exit code is 1 when it is more than 10 % apart.", AllowMultipleArgumentsPerToken = true };
        against.AcceptOnlyFromAmong(Anchors);
        var control = new Option<bool>("--control") { Description = "Once more at half the rate: the same ratios say that the processors were not the limit." };
        var command = new Command("swarm", "Many nodes that pull one checkpoint at once, each behind its own caps, against the bound.") { nodes, shards, shard, rate, fault, against, control };
        command.SetAction(async (arguments, cancellationToken) =>
        {
            var shape = new SwarmShape(arguments.GetValue(nodes), (int)arguments.GetValue(shard), arguments.GetValue(shards), arguments.GetValue(rate));
            var runs = arguments.GetResult(CommonOptions.Runs) is { Implicit: false } ? arguments.GetValue(CommonOptions.Runs) : DefaultRuns;
            var writer = FigureWriter.For(arguments);
            Explain(shape, writer);
            if (arguments.GetValue(fault) is { } name)
            {
                await FaultContest.RunAsync(SwarmFault.Named(name), shape, runs, writer, cancellationToken);
                return 0;
            }

            var agrees = await SwarmContest.RunAsync(shape, runs, arguments.GetValue(against) ?? [], writer, cancellationToken);
            if (arguments.GetValue(control))
            {
                await SwarmContest.RunAsync(shape with { Rate = shape.Rate / 2 }, runs, [], writer, cancellationToken);
            }

            return agrees ? 0 : 1;
        });
        return command;
    }

    private static void Explain(SwarmShape shape, FigureWriter writer)
    {
        writer.Explain(string.Create(
            CultureInfo.InvariantCulture,
            $"{shape.Nodes} nodes on loopback of this machine, which has {Environment.ProcessorCount} cores, each a process behind caps of {shape.Rate} bytes/s up and down, the publisher included; a checkpoint of {shape.Shards} shards of {shape.ShardBytes} bytes."));
        writer.Explain("All but the publisher begin to pull it at the same moment, into memory, every byte hashed. The bound: (shards + floor(log2 nodes)) x what one shard takes at the cap.");
    }

    private static void Demand<T>(Option<T> option, Func<T, bool> holds, string otherwise) => option.Validators.Add(result =>
    {
        if (result.Tokens.Count > 0 && !holds(result.GetValueOrDefault<T>()!))
        {
            result.AddError(otherwise);
        }
    });
}
