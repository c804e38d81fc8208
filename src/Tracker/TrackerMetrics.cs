using System.Diagnostics.Metrics;
using P2PWeights.Tracker.Swarms;

namespace P2PWeights.Tracker;

/// <summary>Measurements of one tracker. Each tracker has its own meter, so that two in one process (tests) stay apart.</summary>
internal sealed class TrackerMetrics : IDisposable
{
    public const string MeterName = "P2PWeights.Tracker";

    private readonly Counter<long> _syncs;
    private readonly Counter<long> _publishes;
    private readonly Histogram<double> _requests;

    public TrackerMetrics(Func<SwarmCounts> swarms, Func<int> checkpoints)
    {
        _syncs = Meter.CreateCounter<long>("p2pw.tracker.syncs", "{sync}", "Syncs answered, by outcome");
        _publishes = Meter.CreateCounter<long>("p2pw.tracker.publishes", "{request}", "Requests to publish, by outcome");
        _requests = Meter.CreateHistogram<double>("p2pw.tracker.request.duration", "s", "Time to answer, by route and status");
        Meter.CreateObservableGauge("p2pw.tracker.peers", () => swarms().Peers, "{peer}", "Live peers");
        Meter.CreateObservableGauge("p2pw.tracker.swarms", () => swarms().Swarms, "{swarm}", "Swarms in memory");
        Meter.CreateObservableGauge("p2pw.tracker.shards", () => swarms().DistinctShards, "{shard}", "Distinct shards with a live replica");
        Meter.CreateObservableGauge("p2pw.tracker.checkpoints", checkpoints, "{checkpoint}", "Visible versions");
    }

    public Meter Meter { get; } = new(MeterName);

    public void Synced(bool resync) => _syncs.Add(1, new KeyValuePair<string, object?>("outcome", resync ? "resync" : "taken"));

    public void Published(PublishOutcome outcome) => _publishes.Add(1, new KeyValuePair<string, object?>("outcome", Wire.PublishOutcomeText.Of(outcome)));

    public void Answered(string route, int status, TimeSpan duration) => _requests.Record(
        duration.TotalSeconds,
        new KeyValuePair<string, object?>("route", route),
        new KeyValuePair<string, object?>("status", status));

    public void Dispose() => Meter.Dispose();
}
