using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using P2PWeights.Testing;

namespace P2PWeights.Tracker.Tests;

/// <summary>A real tracker on a free port of the loopback interface, with a client, in a folder of its own.</summary>
internal sealed class RunningTracker : IAsyncDisposable
{
    private readonly TempFolder? _ownFolder;

    private RunningTracker(TrackerServer server, TrackerClient client, TempFolder? ownFolder) => (Server, Client, _ownFolder) = (server, client, ownFolder);

    public TrackerServer Server { get; }

    public TrackerClient Client { get; }

    public Uri Address => Server.Address;

    public static async Task<RunningTracker> StartAsync(string? folder = null, string? clusterKey = null, string listen = "127.0.0.1:0", TimeProvider? time = null, ILoggerFactory? loggers = null)
    {
        var ownFolder = folder is null ? new TempFolder() : null;
        var options = new TrackerOptions { Listen = listen, DataDirectory = folder ?? ownFolder!.Path, ClusterKey = clusterKey };
        var server = await TrackerServer.StartAsync(options, time ?? TimeProvider.System, loggers ?? NullLoggerFactory.Instance, CancellationToken.None);
        return new RunningTracker(server, new TrackerClient([server.Address], clusterKey, TimeProvider.System), ownFolder);
    }

    public async ValueTask DisposeAsync()
    {
        Client.Dispose();
        await Server.DisposeAsync();
        _ownFolder?.Dispose();
    }
}
