using System.Globalization;
using P2PWeights.Client;
using P2PWeights.Transfer;

namespace P2PWeights.Cli.Demo;

/// <summary>The demo's processes, and a client for each node. Disposing it stops them all, nodes before the tracker, so that they can say goodbye to it.</summary>
internal sealed class DemoCluster : IAsyncDisposable
{
    private readonly ChildProcess _tracker;
    private readonly List<ChildProcess> _nodes = [];
    private readonly List<ChildProcess> _engines = [];
    private readonly List<(string Name, NodeClient Client)> _clients = [];

    private DemoCluster(ChildProcess tracker) => _tracker = tracker;

    public string TrackerAddress => _tracker["tracker"];

    public NodeClient Publisher => _clients[0].Client;

    public IReadOnlyList<(string Name, NodeClient Client)> Consumers => _clients[1..];

    /// <summary>URLs of the engines.</summary>
    public IReadOnlyList<string> Engines => [.. _engines.Select(engine => engine["engine"])];

    /// <summary>Starts the tracker, then all nodes and engines at once. When one fails, those that started are stopped.</summary>
    public static async Task<DemoCluster> StartAsync(Workspace workspace, int peers, int engines, CancellationToken cancellationToken)
    {
        string[] tracker = ["tracker", "--listen", "127.0.0.1:0", "--data", workspace["tracker"], "--log-level", "warning"];
        var cluster = new DemoCluster(await ChildProcess.StartAsync("tracker", tracker, cancellationToken));
        try
        {
            var names = Enumerable.Range(1, peers).Select(number => $"n{number}").Prepend(DemoReport.Publisher).ToList();
            var starting = names.Select(name => cluster.StartNodeAsync(name, workspace, cancellationToken))
                .Concat(Enumerable.Range(0, engines).Select(rank => cluster.StartEngineAsync(rank, workspace, cancellationToken))).ToList();
            await Task.WhenAll(starting);
            cluster._clients.AddRange(names.Select(name => (name, new NodeClient(SocketOf(workspace, name)))));
            return cluster;
        }
        catch
        {
            await cluster.DisposeAsync();
            throw;
        }
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var (_, client) in _clients)
            client.Dispose();
        await Task.WhenAll(_nodes.Concat(_engines).Select(process => process.DisposeAsync().AsTask()));
        await _tracker.DisposeAsync();
    }

    private static string SocketOf(Workspace workspace, string name) => workspace[$"{name}.sock"];

    private async Task StartNodeAsync(string name, Workspace workspace, CancellationToken cancellationToken)
    {
        var node = await ChildProcess.StartAsync(
            $"node {name}",
            [
                "node", "--name", name, "--tracker", TrackerAddress, "--listen", "127.0.0.1:0",
                "--data", workspace[Path.Combine(name, "data")], "--socket", SocketOf(workspace, name),
                "--memory", DemoPlan.NodeMemoryBytes.ToString(CultureInfo.InvariantCulture), "--disk", "64MiB", "--ephemeral", "--log-level", "warning",

                // The processes stand for machines: between those, bytes cross a network.
                "--paths", PathNames.Tcp,
            ],
            cancellationToken);
        lock (_nodes)
            _nodes.Add(node);
    }

    private async Task StartEngineAsync(int rank, Workspace workspace, CancellationToken cancellationToken)
    {
        var engine = await ChildProcess.StartAsync(
            $"engine {rank}",
            ["engine", "--socket", workspace[$"engine{rank}.sock"], "--rank", rank.ToString(CultureInfo.InvariantCulture)],
            cancellationToken);
        lock (_engines)
            _engines.Add(engine);
    }
}
