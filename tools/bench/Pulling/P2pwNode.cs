using System.Globalization;
using System.Net.Sockets;
using P2PWeights.Bench.Measuring;
using P2PWeights.Client;

namespace P2PWeights.Bench.Pulling;

/// <summary>A node as a process, and its local API. Its memory tier, which a node keeps for its next start, goes when this is disposed.</summary>
internal sealed class P2pwNode : IAsyncDisposable
{
    private readonly string _socket;
    private readonly string _arena;

    private P2pwNode(string name, string socket, P2pwProcess process, Guid id)
    {
        (Name, Process, Client, Id, _socket) = (name, process, new NodeClient(socket), id, socket);
        _arena = Path.Combine("/dev/shm", $"p2pweights-{id:N}");
    }

    public string Name { get; }

    public Guid Id { get; }

    public P2pwProcess Process { get; }

    public NodeClient Client { get; }

    /// <summary>Starts a node that keeps shards in memory alone and does not scrub; its folder and socket lie in <paramref name="folder"/>.</summary>
    /// <param name="more">Further flags.</param>
    /// <param name="environment">Further environment variables.</param>
    public static async Task<P2pwNode> StartAsync(
        SharedMemoryFolder folder, string name, string tracker, long memoryBytes, IEnumerable<string> more, IReadOnlyDictionary<string, string> environment,
        CancellationToken cancellationToken)
    {
        var socket = folder[$"{name}.sock"];
        var (process, ready) = await P2pwProcess.StartAsync(
            [
                "node", "--name", name, "--tracker", tracker, "--listen", "127.0.0.1:0", "--data", folder[name], "--socket", socket,
                "--memory", memoryBytes.ToString(CultureInfo.InvariantCulture), "--disk", "0", "--scrub-rate", "0", .. more,
            ],
            environment,
            cancellationToken);
        return new P2pwNode(name, socket, process, Guid.Parse(ready["id"]));
    }

    /// <summary>The sum of a metric's series that have this tag, as the node tells them to whoever asks.</summary>
    /// <param name="name">The metric as it is printed, with its suffixes.</param>
    /// <param name="tag">A tag as it is printed: <c>reason="stall"</c>.</param>
    public async Task<double> MetricAsync(string name, string tag, CancellationToken cancellationToken)
    {
        using var http = new HttpClient(new SocketsHttpHandler
        {
            ConnectCallback = async (_, token) =>
            {
                var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
                await socket.ConnectAsync(new UnixDomainSocketEndPoint(_socket), token);
                return new NetworkStream(socket, ownsSocket: true);
            },
        });
        var text = await http.GetStringAsync("http://node/metrics", cancellationToken);
        return text.Split('\n')
            .Where(line => line.StartsWith(name + '{', StringComparison.Ordinal) && line.Contains(tag, StringComparison.Ordinal))
            .Sum(line => double.Parse(line[(line.LastIndexOf(' ') + 1)..], CultureInfo.InvariantCulture));
    }

    public async ValueTask DisposeAsync()
    {
        Client.Dispose();
        await Process.DisposeAsync();
        if (Directory.Exists(_arena))
        {
            Directory.Delete(_arena, recursive: true);
        }
    }
}
