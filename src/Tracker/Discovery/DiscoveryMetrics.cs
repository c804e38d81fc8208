using System.Diagnostics.Metrics;
using P2PWeights.Tracker.Discovery.Network;

namespace P2PWeights.Tracker.Discovery;

/// <summary>Measurements of multicast DNS, on the meter of the one who uses it.</summary>
internal sealed class DiscoveryMetrics(Meter meter)
{
    private readonly Counter<long> _received = meter.CreateCounter<long>("p2pw.discovery.received", "{packet}", "Multicast DNS packets that came, by outcome");
    private readonly Counter<long> _sent = meter.CreateCounter<long>("p2pw.discovery.sent", "{packet}", "Multicast DNS packets sent, by kind");
    private readonly Counter<long> _contentions = meter.CreateCounter<long>("p2pw.discovery.contentions", "{contention}", "Times that somebody else wanted the tracker's names");
    private readonly Counter<long> _refused = meter.CreateCounter<long>("p2pw.discovery.refused", "{record}", "Records for which the cache had no room");

    /// <summary>The meter of nodes and commands; a tracker's own is apart.</summary>
    public static DiscoveryMetrics OfNodes { get; } = new(new Meter("P2PWeights.Discovery"));

    public void Received(ReceivedOutcome outcome) => _received.Add(1, new KeyValuePair<string, object?>("outcome", outcome switch
    {
        ReceivedOutcome.Taken => "taken",
        ReceivedOutcome.Malformed => "malformed",
        ReceivedOutcome.Oversized => "oversized",
        ReceivedOutcome.OffLink => "off-link",
        ReceivedOutcome.Own => "own",
        _ => "flood",
    }));

    public void Sent(OutgoingKind kind, bool failed) => _sent.Add(1, new KeyValuePair<string, object?>("kind", failed ? "failed" : kind switch
    {
        OutgoingKind.Query => "query",
        OutgoingKind.Probe => "probe",
        OutgoingKind.Announcement => "announcement",
        OutgoingKind.Answer => "answer",
        _ => "goodbye",
    }));

    public void Contended() => _contentions.Add(1);

    public void Refused(int records) => _refused.Add(records);
}
