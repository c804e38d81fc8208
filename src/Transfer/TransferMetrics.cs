using System.Diagnostics.Metrics;
using P2PWeights.Transfer.Leasing;

namespace P2PWeights.Transfer;

/// <summary>Everything this project measures, on the meter <c>P2PWeights.Transfer</c>. Tags: <c>path</c>, <c>reason</c>; never a peer or a digest.</summary>
internal sealed class TransferMetrics : IDisposable
{
    public const string MeterName = "P2PWeights.Transfer";

    private readonly Counter<long> _receivedBytes;
    private readonly Counter<long> _fetchedShards;
    private readonly Counter<long> _failures;
    private readonly Counter<long> _demotions;
    private readonly Histogram<double> _fetchSeconds;
    private readonly Counter<long> _servedBytes;
    private readonly Counter<long> _servedShards;
    private readonly Counter<long> _busyAnswers;
    private long _receivedUnderCap;
    private readonly Counter<long> _leasesGranted;
    private readonly Counter<long> _leasesEnded;
    private readonly UpDownCounter<long> _leasesOut;

    public TransferMetrics()
    {
        Meter = new Meter(MeterName);
        _receivedBytes = Meter.CreateCounter<long>("p2pw.transfer.received", "By", "Payload received from peers, verified or not");
        _fetchedShards = Meter.CreateCounter<long>("p2pw.transfer.fetched", "{shard}", "Shards that came from peers and are verified or adopted");
        _failures = Meter.CreateCounter<long>("p2pw.transfer.failures", "{fetch}", "Fetches that gave no shard, and parts of a path that were lost while the rest went on, by path and reason");
        _demotions = Meter.CreateCounter<long>("p2pw.transfer.demotions", "{demotion}", "Times a path to a peer was put off for a while, by path and reason");
        _fetchSeconds = Meter.CreateHistogram<double>("p2pw.transfer.fetch.duration", "s", "From the choice of the path to the verified shard; the sum is the seconds that a path's shards took");
        _servedBytes = Meter.CreateCounter<long>("p2pw.transfer.sent", "By", "Payload sent to peers, or read by them under a lease on memory or a GPU, by path");
        _servedShards = Meter.CreateCounter<long>("p2pw.transfer.served", "{shard}", "Shards sent to peers, or leased to them on memory or a GPU, by path");
        _busyAnswers = Meter.CreateCounter<long>("p2pw.transfer.busy", "{fetch}", "Fetches of peers answered Busy, by path");
        _leasesGranted = Meter.CreateCounter<long>("p2pw.transfer.leases.granted", "{lease}", "Leases given to peers, by kind");
        _leasesEnded = Meter.CreateCounter<long>("p2pw.transfer.leases.ended", "{lease}", "Leases of peers that ended, by kind and reason (released, expired, replaced, stopped)");
        _leasesOut = Meter.CreateUpDownCounter<long>("p2pw.transfer.leases.out", "{lease}", "Leases that peers hold now, by kind");
    }

    /// <summary>This service's own, among those of the process.</summary>
    public Meter Meter { get; }

    /// <summary>Bytes that came since the start, verified or not, by the paths that the cap on receiving counts.</summary>
    public long ReceivedUnderCap => Interlocked.Read(ref _receivedUnderCap);

    public void Received(string path, int bytes)
    {
        _receivedBytes.Add(bytes, new KeyValuePair<string, object?>("path", path));
        if (PathNames.IsCapped(path))
        {
            Interlocked.Add(ref _receivedUnderCap, bytes);
        }
    }

    public void Fetched(string path, TimeSpan took)
    {
        var tag = new KeyValuePair<string, object?>("path", path);
        _fetchedShards.Add(1, tag);
        _fetchSeconds.Record(took.TotalSeconds, tag);
    }

    public void Failed(string path, string reason) =>
        _failures.Add(1, new KeyValuePair<string, object?>("path", path), new KeyValuePair<string, object?>("reason", reason));

    public void Demoted(string path, string reason) =>
        _demotions.Add(1, new KeyValuePair<string, object?>("path", path), new KeyValuePair<string, object?>("reason", reason));

    public void Served(string path, int bytes)
    {
        var tag = new KeyValuePair<string, object?>("path", path);
        _servedBytes.Add(bytes, tag);
        _servedShards.Add(1, tag);
    }

    public void ServedBusy(string path) => _busyAnswers.Add(1, new KeyValuePair<string, object?>("path", path));

    public void LeaseGranted(LeaseKind kind)
    {
        _leasesGranted.Add(1, Tag(kind));
        _leasesOut.Add(1, Tag(kind));
    }

    public void LeaseEnded(LeaseKind kind, string reason)
    {
        _leasesEnded.Add(1, Tag(kind), new KeyValuePair<string, object?>("reason", reason));
        _leasesOut.Add(-1, Tag(kind));
    }

    private static KeyValuePair<string, object?> Tag(LeaseKind kind) => new("kind", kind switch { LeaseKind.File => "file", LeaseKind.Memory => "memory", _ => "gpu" });

    public void Dispose() => Meter.Dispose();
}
