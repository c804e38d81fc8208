using System.Diagnostics.Metrics;
using P2PWeights.Transfer.Leasing;

namespace P2PWeights.Transfer;

/// <summary>Everything this project measures, on the meter <c>P2PWeights.Transfer</c>. Tags: <c>path</c>, <c>reason</c>; never a peer or a digest.</summary>
internal sealed class TransferMetrics : IDisposable
{
    public const string MeterName = "P2PWeights.Transfer";

    private readonly Meter _meter = new(MeterName);
    private readonly Counter<long> _receivedBytes;
    private readonly Counter<long> _fetchedShards;
    private readonly Counter<long> _failures;
    private readonly Counter<long> _demotions;
    private readonly Histogram<double> _fetchSeconds;
    private readonly Counter<long> _servedBytes;
    private readonly Counter<long> _servedShards;
    private readonly Counter<long> _busyAnswers;
    private long _receivedByTcp;
    private readonly Counter<long> _leasesGranted;
    private readonly Counter<long> _leasesEnded;
    private readonly UpDownCounter<long> _leasesOut;

    public TransferMetrics()
    {
        _receivedBytes = _meter.CreateCounter<long>("p2pw.transfer.received", "By", "Payload received from peers, verified or not");
        _fetchedShards = _meter.CreateCounter<long>("p2pw.transfer.fetched", "{shard}", "Shards that came from peers and are verified or adopted");
        _failures = _meter.CreateCounter<long>("p2pw.transfer.failures", "{fetch}", "Fetches that gave no shard, by path and reason");
        _demotions = _meter.CreateCounter<long>("p2pw.transfer.demotions", "{demotion}", "Times a path to a peer was put off for a while, by path and reason");
        _fetchSeconds = _meter.CreateHistogram<double>("p2pw.transfer.fetch.duration", "s", "From the choice of the path to the verified shard; the sum is the seconds that a path's shards took");
        _servedBytes = _meter.CreateCounter<long>("p2pw.transfer.sent", "By", "Payload sent to peers");
        _servedShards = _meter.CreateCounter<long>("p2pw.transfer.served", "{shard}", "Shards sent to peers");
        _busyAnswers = _meter.CreateCounter<long>("p2pw.transfer.busy", "{fetch}", "Fetches of peers answered Busy");
        _leasesGranted = _meter.CreateCounter<long>("p2pw.transfer.leases.granted", "{lease}", "Leases given to peers, by kind");
        _leasesEnded = _meter.CreateCounter<long>("p2pw.transfer.leases.ended", "{lease}", "Leases of peers that ended, by kind and reason (released, expired, replaced, stopped)");
        _leasesOut = _meter.CreateUpDownCounter<long>("p2pw.transfer.leases.out", "{lease}", "Leases that peers hold now, by kind");
    }

    /// <summary>Bytes that came over TCP since the start, verified or not: what the cap on receiving counts.</summary>
    public long ReceivedByTcp => Interlocked.Read(ref _receivedByTcp);

    public void Received(string path, int bytes)
    {
        _receivedBytes.Add(bytes, new KeyValuePair<string, object?>("path", path));
        if (path == PathNames.Tcp)
        {
            Interlocked.Add(ref _receivedByTcp, bytes);
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

    public void Served(int bytes)
    {
        _servedBytes.Add(bytes);
        _servedShards.Add(1);
    }

    public void ServedBusy() => _busyAnswers.Add(1);

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

    public void Dispose() => _meter.Dispose();
}
