using System.Globalization;
using System.Text.Json;
using P2PWeights.Bench.Measuring;

namespace P2PWeights.Bench.Swarm;

/// <summary>The same swarm in <c>p2pw sim</c>.</summary>
internal static class Simulator
{
    private static readonly Tool Dotnet = new("dotnet", package: "dotnet-sdk-10.0");

    /// <exception cref="BenchException">It failed.</exception>
    public static async Task<Outcome> RunAsync(SwarmShape shape, CancellationToken cancellationToken)
    {
        var (output, _, _) = await Dotnet.RunAsync(
            [
                Path.Combine(AppContext.BaseDirectory, "p2pw.dll"), "sim", "--peers", Number(shape.Nodes - 1), "--shards", Number(shape.Shards), "--shard-size", Number(shape.ShardBytes),
                "--rate", Number(shape.Rate), "--seed", "1", "--json",
            ],
            cancellationToken);
        var result = JsonDocument.Parse(output).RootElement;
        return new Outcome(Value("bound_seconds"), Value("p50_over_bound"), Value("p99_over_bound"), Value("last_over_bound"), Value("publisher_copies"));

        double Value(string name) => result.GetProperty(name).GetDouble();
    }

    private static string Number(long number) => number.ToString(CultureInfo.InvariantCulture);

    /// <summary>What it says, with the names that our own runs have.</summary>
    internal readonly record struct Outcome(double BoundSeconds, double P50OverBound, double P99OverBound, double LastOverBound, double PublisherCopies)
    {
        public SwarmTimes Times => new(P50OverBound * BoundSeconds, P99OverBound * BoundSeconds, LastOverBound * BoundSeconds);
    }
}
