using System.Globalization;
using P2PWeights.Bench.Measuring;

namespace P2PWeights.Bench.Swarm;

/// <summary>A swarm in which nothing goes wrong, beside what else could do the same.</summary>
internal static class SwarmContest
{
    private const string Unit = "MB/s to the last node";

    /// <param name="against">Names of anchors.</param>
    /// <returns>False when the simulator was asked, and is farther from the nodes than it may be.</returns>
    public static async Task<bool> RunAsync(SwarmShape shape, int runs, IReadOnlyCollection<string> against, FigureWriter writer, CancellationToken cancellationToken)
    {
        Tool.Require([.. against.Contains("aria2") ? [Aria2Swarm.Command] : Array.Empty<Tool>(), .. against.Contains("nginx") ? [Paths.Nginx.Server, Paths.Nginx.Client] : Array.Empty<Tool>()]);
        SharedMemoryFolder.RequireFree(SwarmCluster.SharedMemoryBytes(shape, runs) + (against.Contains("aria2") ? shape.Nodes * shape.Bytes : 0));
        using var folder = new SharedMemoryFolder();
        var name = string.Create(CultureInfo.InvariantCulture, $"swarm/{shape.Nodes}x{shape.Shards}/{shape.Rate >> 10}KiB");
        var results = await MeasureAsync(folder, shape, runs, name, writer, cancellationToken);
        var ours = results.Select(result => result.OverBound(1, result.Done)).ToList();
        var bound = shape.Bytes / shape.BoundSeconds / 1e6;
        var agrees = true;
        if (against.Contains("sim"))
        {
            var simulated = await Simulator.RunAsync(shape, cancellationToken);
            writer.Explain(string.Create(
                CultureInfo.InvariantCulture,
                $"p2pw sim, the same swarm: p50 {simulated.P50OverBound:F3}, p99 {simulated.P99OverBound:F3}, last {simulated.LastOverBound:F3} x the bound, publisher sends {simulated.PublisherCopies:F3} copies"));
            await CompareAsync($"{name}/sim", _ => Task.FromResult(shape.Bytes / simulated.Times.Last));
            var agreement = SwarmAgreement.Of(SwarmTimes.MedianOf(results), simulated.Times);
            writer.Explain(agreement.ToString());
            agrees = agreement.Holds;
        }

        if (against.Contains("aria2"))
        {
            await using var aria2 = new Aria2Swarm(folder, shape);
            await CompareAsync($"{name}/aria2", aria2.RunAsync);
        }

        if (against.Contains("nginx"))
        {
            await using var nginx = await NginxStar.StartAsync(folder, shape, cancellationToken);
            await CompareAsync($"{name}/nginx", nginx.RunAsync);
        }

        return agrees;

        async Task CompareAsync(string figure, Func<CancellationToken, Task<double>> runAsync)
        {
            var pairs = new List<(Sample, Sample)>(runs);
            foreach (var last in ours)
            {
                pairs.Add((new Sample(bound / last), new Sample(await runAsync(cancellationToken) / 1e6)));
            }

            writer.Write([Figure.FromPairs(figure, Unit, pairs)]);
        }
    }

    private static async Task<IReadOnlyList<SwarmResult>> MeasureAsync(
        SharedMemoryFolder folder, SwarmShape shape, int runs, string name, FigureWriter writer, CancellationToken cancellationToken)
    {
        await using var cluster = await SwarmCluster.StartAsync(folder, shape, [.. Enumerable.Repeat(shape.Rate, shape.Nodes - 1)], isMeasured: true, cancellationToken);
        var results = new List<SwarmResult>(runs);
        for (var i = 0; i < runs; i++)
        {
            var run = await SwarmRun.BeginAsync(cluster, await cluster.PublishAsync(string.Create(CultureInfo.InvariantCulture, $"swarm@{i}"), cancellationToken), cancellationToken);
            run.Start(cluster.Consumers);
            results.Add(await run.FinishAsync());
            SwarmReport.Of(name, results[^1], results[^1].Done).Write(writer);
            foreach (var failed in results[^1].Finishes.Where(finish => finish.Failure is not null))
            {
                writer.Explain($"{failed.Node.Name} failed: {failed.Failure}");
            }
        }

        return results;
    }
}
