using System.CommandLine;
using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Logging.Abstractions;
using P2PWeights.Cli.Settings;
using P2PWeights.Client;

namespace P2PWeights.Cli.Targets;

/// <summary>
/// A node inside a command, for <c>publish</c> and <c>pull</c> with <c>--tracker</c>: it has no tiers (files are referenced where they are) and leaves nothing behind.
/// </summary>
internal sealed class EphemeralNode : IAsyncDisposable
{
    private readonly DirectoryInfo _data;

    private EphemeralNode(PeerNode node, DirectoryInfo data) => (Node, _data) = (node, data);

    public PeerNode Node { get; }

    /// <summary>Starts the node.</summary>
    /// <exception cref="NodeException">It would listen beyond loopback without a cluster key, or the address cannot be used.</exception>
    public static async Task<EphemeralNode> StartAsync(
        Target target, EphemeralNodeOptions settings, ParseResult arguments, CancellationToken cancellationToken)
    {
        var listen = settings.Listen(arguments) ?? $"{AddressTowards(target.Trackers[0])}:0";
        ClusterKey.DemandFor(listen, target.ClusterKey, settings.Insecure(arguments));
        var data = Directory.CreateTempSubdirectory("p2pw-command-");
        try
        {
            var options = new NodeOptions
            {
                Name = $"{Environment.MachineName}-{Environment.ProcessId}",
                Trackers = target.Trackers,
                Discover = target.Discover,
                Listen = listen,
                DataDirectory = data.FullName,
                MemoryBytes = 0,
                DiskBytes = 0,
                ScrubBytesPerSecond = 0,
                ClusterKey = target.ClusterKey,
                Ephemeral = true,
                UploadBytesPerSecond = settings.UploadLimit(arguments),
                DownloadBytesPerSecond = settings.DownloadLimit(arguments),
                Paths = settings.Paths(arguments),
                NoSourceTimeout = settings.NoSourceTimeout(arguments),
            };
            return new EphemeralNode(await PeerNode.StartAsync(options, TimeProvider.System, NullLoggerFactory.Instance, cancellationToken), data);
        }
        catch
        {
            data.Delete(recursive: true);
            throw;
        }
    }

    public async ValueTask DisposeAsync()
    {
        await Node.DisposeAsync();
        _data.Delete(recursive: true);
    }

    /// <summary>
    /// This machine's address on the way to a tracker, so that peers which reach the tracker reach this node; loopback when the tracker is
    /// here.
    /// </summary>
    private static string AddressTowards(Uri tracker)
    {
        if (tracker.IsLoopback)
            return "127.0.0.1";
        try
        {
            // Connecting a datagram socket sends nothing: it only asks the routing table.
            using var probe = new Socket(SocketType.Dgram, ProtocolType.Udp);
            probe.Connect(tracker.IdnHost, tracker.Port);
            var address = ((IPEndPoint)probe.LocalEndPoint!).Address;
            if (address.IsIPv4MappedToIPv6)
                address = address.MapToIPv4();
            return address.AddressFamily == AddressFamily.InterNetworkV6 ? $"[{address}]" : address.ToString();
        }
        catch (SocketException exception)
        {
            throw new NodeException(
                NodeError.Deadline, $"tracker {tracker} cannot be reached: {exception.Message}. Nothing was started. Check the address, or name where to listen with --listen HOST:PORT.", exception);
        }
    }
}
