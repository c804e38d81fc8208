using System.CommandLine;
using System.Globalization;
using P2PWeights.Bench.Measuring;
using P2PWeights.Store.Content;

namespace P2PWeights.Bench.Pulling;

/// <summary><c>bench stress</c>: what a slow source costs, and whether the caps hold, in pulls between real nodes over TCP on loopback.</summary>
internal static class StressBench
{
    private const string Unit = "GB/s";
    private const int Sources = 8;

    /// <summary>What each source may send: together well below what the machine can do, so that nothing but the caps decides.</summary>
    private const long SourceBytesPerSecond = 25_000_000;

    /// <summary>What the slow one may send: a hundredth.</summary>
    private const long SlowBytesPerSecond = SourceBytesPerSecond / 100;

    private const long CapBytesPerSecond = 100_000_000;

    /// <summary>So that the sources share the checkpoint evenly.</summary>
    private const int ShardBytes = 2 << 20;

    public static Command CreateCommand()
    {
        var sizes = CommonOptions.Sizes("--size", "Size of the checkpoint.", "512MiB");
        var command = new Command("stress", "A slow source among eight, and the caps on sending and receiving, in pulls over TCP on loopback.") { sizes };
        command.SetAction((arguments, cancellationToken) => RunAsync(
            arguments.GetRequiredValue(sizes), arguments.GetValue(CommonOptions.Runs), FigureWriter.For(arguments), cancellationToken));
        return command;
    }

    private static async Task<int> RunAsync(long[] sizes, int runs, FigureWriter writer, CancellationToken cancellationToken)
    {
        writer.Explain($"stress/slow: a pull from {Sources} sources of which one sends at 1 % of the speed, against {Sources} equal ones of {SourceBytesPerSecond / 1e6:0} MB/s; a ratio of 0.833 is 1.2 times the time.");
        writer.Explain($"stress/upload, stress/download: a pull from one source under a cap of {CapBytesPerSecond / 1e6:0} MB/s on sending or on receiving, against the cap.");
        writer.Explain($"All on loopback of this machine, which has {Environment.ProcessorCount} cores; every node is a process of its own, and warm.");
        foreach (var size in sizes)
        {
            var label = ByteSize.Format(size).Replace(" ", "", StringComparison.Ordinal);
            writer.Write(await MeasureSlowAsync(size, runs, label, cancellationToken));
            writer.Write(await MeasureCapAsync(size, runs, $"stress/upload/{label}", [Limit("upload", CapBytesPerSecond)], [], cancellationToken));
            writer.Write(await MeasureCapAsync(size, runs, $"stress/download/{label}", [], [Limit("download", CapBytesPerSecond)], cancellationToken));
        }

        return 0;
    }

    private static async Task<IReadOnlyList<Figure>> MeasureSlowAsync(long size, int runs, string label, CancellationToken cancellationToken)
    {
        var contents = PullCluster.TurnsOf(size);
        SharedMemoryFolder.RequireFree((2 * contents + 2) * size + 2 * PullCluster.ConsumerBytes(size));
        using var slowFolder = new SharedMemoryFolder("-slow");
        using var equalFolder = new SharedMemoryFolder("-equal");
        await using var slow = await StartAsync(slowFolder, size, contents, SlowBytesPerSecond, cancellationToken);
        await using var equal = await StartAsync(equalFolder, size, contents, SourceBytesPerSecond, cancellationToken);
        var fromSlow = await slow.AddConsumerAsync("tcp", cancellationToken);
        var fromEqual = await equal.AddConsumerAsync("tcp", cancellationToken);
        return await Rounds.MeasureAsync(
            Unit,
            runs,
            token => fromSlow.PullAsync(folder: null, token, mayWaste: true),
            [($"stress/slow/{label}", token => fromEqual.PullAsync(folder: null, token, mayWaste: true))],
            cancellationToken);
    }

    /// <summary>Eight sources, the last of them with a speed of its own.</summary>
    private static async Task<PullCluster> StartAsync(SharedMemoryFolder folder, long size, int contents, long lastBytesPerSecond, CancellationToken cancellationToken)
    {
        var cluster = await PullCluster.StartAsync(folder, copy: false, size, contents, cancellationToken, [Limit("upload", SourceBytesPerSecond)], ShardBytes);
        try
        {
            for (var i = 1; i < Sources; i++)
            {
                await cluster.AddSourceAsync([Limit("upload", i == Sources - 1 ? lastBytesPerSecond : SourceBytesPerSecond)], cancellationToken);
            }

            return cluster;
        }
        catch
        {
            await cluster.DisposeAsync();
            throw;
        }
    }

    private static async Task<IReadOnlyList<Figure>> MeasureCapAsync(
        long size, int runs, string name, string[] sourceFlags, string[] consumerFlags, CancellationToken cancellationToken)
    {
        var contents = PullCluster.TurnsOf(size);
        SharedMemoryFolder.RequireFree((contents + 1) * size + PullCluster.ConsumerBytes(size));
        using var folder = new SharedMemoryFolder();
        await using var cluster = await PullCluster.StartAsync(folder, copy: false, size, contents, cancellationToken, sourceFlags);
        var consumer = await cluster.AddConsumerAsync("tcp", cancellationToken, consumerFlags);
        return await Rounds.MeasureAsync(
            Unit, runs, token => consumer.PullAsync(folder: null, token), [(name, _ => Task.FromResult(new Sample(CapBytesPerSecond / 1e9)))], cancellationToken);
    }

    private static string Limit(string direction, long bytesPerSecond) =>
        string.Create(CultureInfo.InvariantCulture, $"--{direction}-limit={bytesPerSecond}");
}
