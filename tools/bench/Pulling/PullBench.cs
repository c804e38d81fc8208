using System.CommandLine;
using P2PWeights.Bench.Measuring;
using P2PWeights.Store.Content;

namespace P2PWeights.Bench.Pulling;

/// <summary><c>bench pull</c>: a checkpoint from one node to another over TCP on loopback, verified, into the memory tier, against iperf3.</summary>
internal static class PullBench
{
    private const string Unit = "GB/s";

    /// <summary>Up to this size every run has a checkpoint of its own; above it three take turns and push each other out of the consumer.</summary>
    private const long LargestHeldBytes = 64L << 20;

    public static Command CreateCommand()
    {
        var sizes = CommonOptions.Sizes("--size", "Sizes of the checkpoint.", "1MiB", "64MiB", "2GiB");
        var tiers = new Option<string[]>("--source")
        {
            Description = "Tiers that the source serves from: memory (publish --copy), reference (the published files). Default: both.",
            AllowMultipleArgumentsPerToken = true,
            DefaultValueFactory = _ => ["memory", "reference"],
        };
        tiers.AcceptOnlyFromAmong("memory", "reference");
        var command = new Command("pull", "A verified pull over TCP on loopback, against iperf3.") { sizes, tiers };
        command.SetAction((arguments, cancellationToken) => RunAsync(
            arguments.GetRequiredValue(sizes),
            arguments.GetRequiredValue(tiers),
            arguments.GetValue(CommonOptions.Runs),
            FigureWriter.For(arguments),
            cancellationToken));
        return command;
    }

    private static async Task<int> RunAsync(long[] sizes, string[] tiers, int runs, FigureWriter writer, CancellationToken cancellationToken)
    {
        writer.Explain("Ours: one node pulls a checkpoint from one other into its memory tier, every byte hashed; the time is that of the whole call, catalog and manifest included.");
        writer.Explain("iperf3: as many bytes, but 256 MiB at least, over one stream, and nobody looks at them; the time is that of the bytes alone, connecting and the tool's start left out.");
        writer.Explain($"All on loopback of this machine, which has {Environment.ProcessorCount} cores; source, consumer and tracker are processes of their own, and warm.");
        await using var iperf3 = await Iperf3.StartAsync(cancellationToken);
        foreach (var tier in tiers)
        {
            foreach (var size in sizes)
            {
                writer.Write(await MeasureAsync(iperf3, isMemory: tier == "memory", size, runs, writer, cancellationToken));
            }
        }

        return 0;
    }

    private static async Task<IReadOnlyList<Figure>> MeasureAsync(Iperf3 iperf3, bool isMemory, long size, int runs, FigureWriter writer, CancellationToken cancellationToken)
    {
        var label = ByteSize.Format(size).Replace(" ", "", StringComparison.Ordinal);
        var name = isMemory ? $"pull/{label}" : $"pull/{label}/reference";
        var takesTurns = size > LargestHeldBytes;
        var contents = takesTurns ? PullCluster.TurnsOf(size) : runs + 1;
        SharedMemoryFolder.RequireFree((contents + 1) * size + PullCluster.ConsumerBytes(size));
        using var folder = new SharedMemoryFolder();
        await using var cluster = await PullCluster.StartAsync(folder, isMemory, size, contents, cancellationToken);
        var consumer = await cluster.AddConsumerAsync("tcp", cancellationToken);
        if (takesTurns)
        {
            // The first pulls find memory that nobody has touched, which the kernel clears on the way: of interest, and not what a node does all day.
            writer.Info($"{name}, fresh memory", (await consumer.PullAsync(folder: null, cancellationToken)).Rate, Unit);
            await consumer.PullAsync(folder: null, cancellationToken);
        }

        return await Rounds.MeasureAsync(Unit, runs, token => consumer.PullAsync(folder: null, token), [(name, token => iperf3.SendAsync(size, token))], cancellationToken);
    }
}
