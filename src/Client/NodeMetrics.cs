using System.Diagnostics.Metrics;
using P2PWeights.Native;

namespace P2PWeights.Client;

/// <summary>Measurements of this project; docs/operations.md lists them with those of the others.</summary>
internal static class NodeMetrics
{
    public const string Ok = "ok";
    public const string Cancelled = "cancelled";

    private static readonly Meter Meter = new("P2PWeights.Client");
    private static readonly Counter<long> Requests = Meter.CreateCounter<long>("p2pw.node.requests", "{request}", "Requests ended, by operation and outcome");
    private static readonly Histogram<double> Durations = Meter.CreateHistogram<double>("p2pw.node.request.duration", "s", "Time that requests took, by operation");
    private static readonly Counter<long> Syncs = Meter.CreateCounter<long>("p2pw.node.syncs", "{sync}", "Syncs with the tracker, by outcome");

    static NodeMetrics() => Meter.CreateObservableGauge("p2pw.node.memory.given_up", () => GivenUpMemory.Bytes, "By", "Memory of devices that stopped, kept until the process ends");

    /// <param name="operation">publish, pull, verify, ...</param>
    /// <param name="outcome"><see cref="Ok"/>, <see cref="Cancelled"/>, or how it failed: a name of <see cref="NodeError"/>.</param>
    public static void RequestEnded(string operation, string outcome, TimeSpan elapsed)
    {
        var tag = new KeyValuePair<string, object?>("operation", operation);
        Requests.Add(1, tag, new KeyValuePair<string, object?>("outcome", outcome));
        Durations.Record(elapsed.TotalSeconds, tag);
    }

    public static void Synced(bool answered) => Syncs.Add(1, new KeyValuePair<string, object?>("outcome", answered ? Ok : "failed"));
}
