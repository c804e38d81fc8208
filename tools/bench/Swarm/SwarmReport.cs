using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using P2PWeights.Bench.Measuring;

namespace P2PWeights.Bench.Swarm;

/// <summary>What one run of a swarm came to, as it is printed: times over the bound, where 1 is the least that is possible.</summary>
/// <param name="Name">What was measured.</param>
/// <param name="BoundSeconds">The bound.</param>
/// <param name="P50OverBound">The middle finisher.</param>
/// <param name="P99OverBound">The 99th percentile (nearest rank: of few nodes the last one).</param>
/// <param name="LastOverBound">The last finisher.</param>
/// <param name="PublisherCopies">What the publisher sent, in checkpoints.</param>
/// <param name="Busy">Part of the machine's processor time that was used, 0 to 1.</param>
/// <param name="Finished">Pulls that brought the checkpoint.</param>
/// <param name="Failed">Pulls that did not, those of nodes that were killed included.</param>
/// <param name="Wasted">Bytes that came and became no shard, over those that did.</param>
internal sealed record SwarmReport(
    [property: JsonPropertyName("name")] string Name,
    [property: JsonPropertyName("boundSeconds")] double BoundSeconds,
    [property: JsonPropertyName("p50OverBound")] double P50OverBound,
    [property: JsonPropertyName("p99OverBound")] double P99OverBound,
    [property: JsonPropertyName("lastOverBound")] double LastOverBound,
    [property: JsonPropertyName("publisherCopies")] double PublisherCopies,
    [property: JsonPropertyName("busy")] double Busy,
    [property: JsonPropertyName("finished")] int Finished,
    [property: JsonPropertyName("failed")] int Failed,
    [property: JsonPropertyName("wasted")] double Wasted)
{
    /// <summary>The report of a run, over some of its finishers.</summary>
    public static SwarmReport Of(string name, SwarmResult result, IReadOnlyCollection<SwarmFinish> finishes) => new(
        name,
        Round(result.Shape.BoundSeconds),
        Round(result.OverBound(0.5, finishes)),
        Round(result.OverBound(0.99, finishes)),
        Round(result.OverBound(1, finishes)),
        Round(result.PublisherCopies),
        Round(result.MachineBusy),
        finishes.Count,
        result.Finishes.Count - result.Done.Count,
        Round(result.Wasted));

    /// <summary>Prints it: a line for people, or one of JSON.</summary>
    public void Write(FigureWriter writer) => Console.Out.WriteLine(writer.Json ? JsonSerializer.Serialize(this) : string.Create(
        CultureInfo.InvariantCulture,
        $"{Name,-34} p50 {P50OverBound:F3}  p99 {P99OverBound:F3}  last {LastOverBound:F3} x the bound of {BoundSeconds:F1} s   publisher sent {PublisherCopies:F3} copies   {Finished} finished, {Failed} did not   wasted {Wasted:P1}   processors {Busy:P0} busy"));

    private static double Round(double value) => double.IsNaN(value) ? 0 : Math.Round(value, 4);
}
