using System.Globalization;
using P2PWeights.Bench.Measuring;

namespace P2PWeights.Bench.Swarm;

/// <summary>A swarm in which something goes wrong, after one in which nothing does.</summary>
internal static class FaultContest
{
    public static async Task RunAsync(SwarmFault fault, SwarmShape shape, int runs, FigureWriter writer, CancellationToken cancellationToken)
    {
        writer.Explain($"{fault.Name}: {fault.Description}; before each run one without. The times are those of the nodes to which nothing happened.");
        SharedMemoryFolder.RequireFree(SwarmCluster.SharedMemoryBytes(shape with { Nodes = shape.Nodes + fault.Poisoners }, checkpoints: 3));
        for (var i = 0; i < runs; i++)
        {
            using var folder = new SharedMemoryFolder(string.Create(CultureInfo.InvariantCulture, $"-{i}"));
            var plain = await PlainAsync(folder, fault, shape, writer, cancellationToken);

            // Of another cluster the tracker must not know what the first one published.
            using var another = new SharedMemoryFolder(string.Create(CultureInfo.InvariantCulture, $"-{i}-{fault.Name}"));
            await using var cluster = plain.Cluster ?? await SwarmCluster.StartAsync(another, shape, fault.RatesOf(shape), isMeasured: true, cancellationToken);
            var published = await cluster.PublishAsync("fault@1", cancellationToken);
            var result = await fault.RunAsync(cluster, published, cancellationToken);
            var ordinary = fault.Ordinary(cluster, result).ToList();
            var report = SwarmReport.Of($"swarm/{fault.Name}", result, ordinary);
            report.Write(writer);
            var others = result.Done.Except(ordinary).ToList();
            writer.Explain(string.Create(CultureInfo.InvariantCulture, $"  p99 {(report.P99OverBound / plain.P99OverBound) - 1:+0.0 %;-0.0 %} against the run before")
                + (others.Count == 0 ? "" : string.Create(
                    CultureInfo.InvariantCulture, $"; of those to which something happened, {others.Count} finished, the last after {result.OverBound(1, others):F3} x the bound")));
            var audit = await SwarmAudit.OfAsync(result, cancellationToken);
            writer.Explain($"  {audit}");
        }
    }

    /// <summary>The same without the fault; the cluster goes on when the fault needs no other caps.</summary>
    private static async Task<(double P99OverBound, SwarmCluster? Cluster)> PlainAsync(
        SharedMemoryFolder folder, SwarmFault fault, SwarmShape shape, FigureWriter writer, CancellationToken cancellationToken)
    {
        var usual = Enumerable.Repeat(shape.Rate, shape.Nodes - 1 + fault.Poisoners).ToList();
        var cluster = await SwarmCluster.StartAsync(folder, shape, usual, isMeasured: true, cancellationToken);
        var run = await SwarmRun.BeginAsync(cluster, await cluster.PublishAsync("plain@1", cancellationToken), cancellationToken);
        run.Start(cluster.Consumers.SkipLast(fault.Poisoners));
        var result = await run.FinishAsync();
        var report = SwarmReport.Of("swarm/plain", result, result.Done);
        report.Write(writer);
        if (fault.RatesOf(shape).SequenceEqual(usual))
        {
            return (report.P99OverBound, cluster);
        }

        await cluster.DisposeAsync();
        return (report.P99OverBound, null);
    }
}
