using System.Globalization;
using P2PWeights.Bench.Measuring;
using P2PWeights.Client;

namespace P2PWeights.Bench.Pulling;

/// <summary>A node as a process, and its local API. Its memory tier, which a node keeps for its next start, goes when this is disposed.</summary>
internal sealed class P2pwNode : IAsyncDisposable
{
    private readonly string _arena;

    private P2pwNode(string name, P2pwProcess process, NodeClient client, Guid id)
    {
        (Name, Process, Client, Id) = (name, process, client, id);
        _arena = Path.Combine("/dev/shm", $"p2pweights-{id:N}");
    }

    public string Name { get; }

    public Guid Id { get; }

    public P2pwProcess Process { get; }

    public NodeClient Client { get; }

    /// <summary>Starts a node that keeps shards in memory alone and does not scrub; its folder and socket lie in <paramref name="folder"/>.</summary>
    /// <param name="more">Further flags.</param>
    public static async Task<P2pwNode> StartAsync(
        SharedMemoryFolder folder, string name, string tracker, long memoryBytes, IEnumerable<string> more, CancellationToken cancellationToken)
    {
        var socket = folder[$"{name}.sock"];
        var (process, ready) = await P2pwProcess.StartAsync(
            [
                "node", "--name", name, "--tracker", tracker, "--listen", "127.0.0.1:0", "--data", folder[name], "--socket", socket,
                "--memory", memoryBytes.ToString(CultureInfo.InvariantCulture), "--disk", "0", "--scrub-rate", "0", .. more,
            ],
            cancellationToken);
        return new P2pwNode(name, process, new NodeClient(socket), Guid.Parse(ready["id"]));
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
