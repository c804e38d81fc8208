using System.Diagnostics.Metrics;
using System.Net;
using Microsoft.Extensions.Logging;
using P2PWeights.Tracker.Discovery.Advertising;
using P2PWeights.Tracker.Discovery.Network;

namespace P2PWeights.Tracker.Discovery;

/// <summary>Tells the links of this machine where its tracker is, until it is disposed, which tells them that it is gone.</summary>
internal sealed class TrackerAdvertiser : IAsyncDisposable
{
    private readonly MulticastDns _dns;

    /// <param name="listen">Where the tracker listens, with its port.</param>
    /// <param name="meter">Of the tracker.</param>
    /// <exception cref="TrackerException"><see cref="TrackerError.Listen"/>: multicast DNS cannot be used here.</exception>
    public TrackerAdvertiser(DiscoveryOptions options, string? clusterKey, IPEndPoint listen, TimeProvider time, Meter meter, ILogger log)
    {
        var metrics = new DiscoveryMetrics(meter);
        var random = new Random();
        var names = ServiceNames.First(options.Name, random);
        var responder = new ServiceResponder(new Advertisement(options.Cluster, clusterKey, listen), names, random, (contention, now) =>
        {
            metrics.Contended();
            if (contention == Contention.Taken)
            {
                TrackerLog.NameTaken(log, now.Instance);
            }
        });
        _dns = new MulticastDns(responder, time, metrics, log);
        TrackerLog.Advertised(log, names.Instance, options.Cluster, listen);
    }

    public ValueTask DisposeAsync() => _dns.DisposeAsync();
}
