using P2PWeights.Sim;

namespace P2PWeights.Cli.Output;

/// <summary>What a simulated swarm did, as people read it.</summary>
internal static class SimText
{
    /// <summary>What the times are compared with.</summary>
    public const string Bound =
        "The bound is the least time that any plan needs: between equal cards a round per missing shard and log2 of the peers more, a round being what a card needs for one shard; else what cards and uplinks can carry.";

    public static void Write(TextWriter text, SimReport report, TimeSpan took)
    {
        var options = report.Options;
        text.WriteLine($"simulated {Format.Count(options.Peers + options.Late, "peer")}, {Format.Count(options.Shards, "shard")} of {Format.Bytes(options.ShardBytes)}, cards of {Format.Rate(options.BytesPerSecond)}, seed {options.Seed}");
        text.WriteLine(Format.Invariant($"  bound       {report.Bound.TotalSeconds:0.000} s"));
        text.WriteLine(Format.Invariant($"  last peer   {report.LastOverBound:0.000} x the bound"));
        text.WriteLine(Format.Invariant($"  p99         {report.P99OverBound:0.000} x the bound"));
        text.WriteLine(Format.Invariant($"  p50         {report.P50OverBound:0.000} x the bound"));
        Others(text, "slow peers", report.Finishes.Where(finish => finish.IsSlow));
        Others(text, "late peers", report.Finishes.Where(finish => finish.IsLate));
        text.WriteLine(Format.Invariant($"  publishers  sent {report.PublisherCopies:0.000} copies"));
        if (options.Racks > 1)
            text.WriteLine($"  racks       {Format.Bytes(report.BytesAcrossRacks)} of {Format.Bytes(report.BytesSent)} went from rack to rack");
        if (options.Killed > 0 || options.KillPublishers)
            text.WriteLine($"  killed      {Format.Count(options.Killed, "peer")}{(options.KillPublishers ? " and the publishers" : "")}; all others have everything");
        text.WriteLine(Format.Invariant($"  run         {report.Events} events in {Format.Time(took)}; {report.Hedges} hedges, {report.Busy} times busy"));
        text.WriteLine(Bound);
    }

    private static void Others(TextWriter text, string which, IEnumerable<SimFinish> finishes)
    {
        var some = finishes.ToList();
        if (some.Count > 0)
            text.WriteLine(Format.Invariant($"  {which}  last {some.Max(finish => finish.OverBound):0.000} x their own bound, p50 {SimReport.Percentile(some, 0.5):0.000} x"));
    }
}
