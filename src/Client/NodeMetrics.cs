using System.Diagnostics.Metrics;
using P2PWeights.Client.Updating.Pipeline;

namespace P2PWeights.Client;

/// <summary>Measurements of this project; docs/operations.md lists them with those of the others.</summary>
internal static class NodeMetrics
{
    private const string Ok = "ok";

    private static readonly Meter Meter = new("P2PWeights.Client");
    private static readonly Counter<long> Requests = Meter.CreateCounter<long>("p2pw.node.requests", "{request}", "Requests ended, by operation and outcome");
    private static readonly Histogram<double> Durations = Meter.CreateHistogram<double>("p2pw.node.request.duration", "s", "Time that requests took, by operation");
    private static readonly Counter<long> Syncs = Meter.CreateCounter<long>("p2pw.node.syncs", "{sync}", "Syncs with the tracker, by outcome");

    static NodeMetrics() => Meter.CreateObservableGauge("p2pw.node.memory.given_up", () => GivenUpMemory.Bytes, "By", "Memory of devices that stopped, kept until the process ends");

    /// <param name="operation">publish, pull, verify, ...</param>
    /// <param name="failure">How it failed; null when it did not.</param>
    public static void RequestEnded(string operation, NodeError? failure, TimeSpan elapsed)
    {
        var tag = new KeyValuePair<string, object?>("operation", operation);
        Requests.Add(1, tag, new KeyValuePair<string, object?>("outcome", failure?.ToString() ?? Ok));
        Durations.Record(elapsed.TotalSeconds, tag);
    }

    public static void Synced(bool answered) => Syncs.Add(1, new KeyValuePair<string, object?>("outcome", answered ? Ok : "failed"));
}
