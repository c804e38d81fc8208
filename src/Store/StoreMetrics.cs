using System.Diagnostics.Metrics;

namespace P2PWeights.Store;

/// <summary>Counters and gauges of one store, under the meter <c>P2PWeights.Store</c>.</summary>
internal sealed class StoreMetrics : IDisposable
{
    private readonly Meter _meter = new("P2PWeights.Store");
    private readonly Counter<long> _committed;
    private readonly Counter<long> _evicted;
    private readonly Counter<long> _demoted;
    private readonly Counter<long> _scrubbed;
    private readonly Counter<long> _wrong;

    public StoreMetrics()
    {
        _committed = _meter.CreateCounter<long>("p2pw.store.committed", "By", "bytes of shards received and verified");
        _evicted = _meter.CreateCounter<long>("p2pw.store.evicted", "By", "bytes of replicas evicted for room");
        _demoted = _meter.CreateCounter<long>("p2pw.store.demoted", "By", "bytes of shards copied from memory to disk before they were evicted");
        _scrubbed = _meter.CreateCounter<long>("p2pw.store.scrubbed", "By", "bytes hashed by scrubs");
        _wrong = _meter.CreateCounter<long>("p2pw.store.wrong", "{replica}", "replicas dropped because their bytes were wrong or gone");
    }

    /// <summary>Adds the gauges that read the state of an open store.</summary>
    public void Observe(ShardStore store)
    {
        _meter.CreateObservableGauge("p2pw.store.used", () => Measure(store, tier => tier.Bytes), "By", "bytes that replicas take, rounding included");
        _meter.CreateObservableGauge("p2pw.store.shards", () => Measure(store, tier => tier.Shards), "{shard}", "replicas held");
        _meter.CreateObservableGauge("p2pw.store.leases", () => store.Usage.Leases, "{lease}", "leases out");
    }

    public void Committed(int bytes) => _committed.Add(bytes);

    public void Evicted(Tiers tier, int bytes) => _evicted.Add(bytes, Tag(tier));

    public void Demoted(int bytes) => _demoted.Add(bytes);

    public void Scrubbed(int bytes) => _scrubbed.Add(bytes);

    public void Wrong(Tiers tier) => _wrong.Add(1, Tag(tier));

    public void Dispose() => _meter.Dispose();

    private static IEnumerable<Measurement<long>> Measure(ShardStore store, Func<TierUsage, long> value) =>
        store.Usage.Tiers.Select(tier => new Measurement<long>(value(tier), Tag(tier.Tier)));

    private static KeyValuePair<string, object?> Tag(Tiers tier) => new("tier", tier switch
    {
        Tiers.Memory => "memory",
        Tiers.Disk => "disk",
        Tiers.Reference => "reference",
        _ => "gpu",
    });
}
