using Microsoft.Extensions.Logging;

namespace P2PWeights.Tracker;

/// <summary>The tracker: durable catalog, soft swarm state, one HTTP API (docs/protocol.md), HTTP/1.1 and HTTP/2 on one port.</summary>
public sealed class TrackerServer : IAsyncDisposable
{
    private TrackerServer() => throw new NotImplementedException();

    /// <summary>Opens the catalog and starts to listen.</summary>
    /// <exception cref="TrackerException">The folder is in use or the address cannot be used.</exception>
    public static Task<TrackerServer> StartAsync(TrackerOptions options, TimeProvider time, ILoggerFactory loggers, CancellationToken cancellationToken) => throw new NotImplementedException();

    /// <summary>Where it listens, with the port that was chosen.</summary>
    public Uri Address => throw new NotImplementedException();

    public ValueTask DisposeAsync() => throw new NotImplementedException();
}
