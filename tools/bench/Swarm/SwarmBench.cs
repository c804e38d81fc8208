using System.CommandLine;
using System.Globalization;
using P2PWeights.Bench.Measuring;

namespace P2PWeights.Bench.Swarm;

/// <summary><c>bench swarm</c>: many nodes that want the same checkpoint at once, each behind its own caps, against the bound, the simulator, BitTorrent and a web server.</summary>
internal static class SwarmBench
{
    /// <summary>Runs of a minute each.</summary>
    private const int DefaultRuns = 3;

    public static Command CreateCommand()
    {
        var nodes = new Option<int>("--nodes") { Description = "Nodes, the publisher included. Default: 32.", DefaultValueFactory = _ => 32 };
        nodes.Validators.Add(result => Check(result.GetValueOrDefault<int>() is >= 4 and <= 128, "--nodes takes 4 to 128", result.AddError));
        var shards = new Option<int>("--shards") { Description = "Shards of the checkpoint. Default: 1000.", DefaultValueFactory = _ => 1000 };
        shards.Validators.Add(result => Check(result.GetValueOrDefault<int>() is >= 8 and <= 65536, "--shards takes 8 to 65536", result.AddError));
        var shard = CommonOptions.Size("--shard", "Size of a shard.", "128KiB");
        shard.Validators.Add(result => Check(result.GetValueOrDefault<long>() is >= 4096 and <= 16 << 20, "--shard takes 4KiB to 16MiB", result.AddError));
        var rate = CommonOptions.Size("--rate", "Bytes per second that each node may send, and as many that it may receive.", "2MiB");
        var command = new Command("swarm", "Many nodes that pull one checkpoint at once, each behind its own caps, against the bound.") { nodes, shards, shard, rate };
        command.SetAction((arguments, cancellationToken) => RunAsync(
            new SwarmShape(arguments.GetValue(nodes), (int)arguments.GetValue(shard), arguments.GetValue(shards), arguments.GetValue(rate)),
            arguments.GetResult(CommonOptions.Runs) is { Implicit: false } ? arguments.GetValue(CommonOptions.Runs) : DefaultRuns,
            FigureWriter.For(arguments),
            cancellationToken));
        return command;
    }

    private static async Task<int> RunAsync(SwarmShape shape, int runs, FigureWriter writer, CancellationToken cancellationToken)
    {
        SharedMemoryFolder.RequireFree(SwarmCluster.SharedMemoryBytes(shape, runs));
        using var folder = new SharedMemoryFolder();
        await using var cluster = await SwarmCluster.StartAsync(folder, shape, [.. Enumerable.Repeat(shape.Rate, shape.Nodes - 1)], cancellationToken);
        for (var i = 0; i < runs; i++)
        {
            var checkpoint = string.Create(CultureInfo.InvariantCulture, $"swarm@{i}");
            var published = await cluster.PublishAsync(checkpoint, cancellationToken);
            var run = await SwarmRun.BeginAsync(cluster, published, cancellationToken);
            run.Start(cluster.Consumers);
            var result = await run.FinishAsync();
            writer.Explain(string.Create(CultureInfo.InvariantCulture, $"bound {shape.BoundSeconds:F1} s  p50 {result.OverBound(0.5, result.Done):F3} p99 {result.OverBound(0.99, result.Done):F3} last {result.OverBound(1, result.Done):F3} copies {result.PublisherCopies:F3} busy {result.MachineBusy:P0} wasted {result.Wasted:P1} failed {result.Finishes.Count - result.Done.Count}"));
        }

        return 0;
    }

    private static void Check(bool holds, string otherwise, Action<string> addError)
    {
        if (!holds)
        {
            addError(otherwise);
        }
    }
}
