using System.Globalization;
using P2PWeights.Bench.Measuring;
using P2PWeights.Bench.Pulling;
using P2PWeights.Client;

namespace P2PWeights.Bench.Swarm;

/// <summary>A tracker, a node that publishes and nodes that pull, each a process of its own, by TCP on loopback, each node behind its own caps.</summary>
internal sealed class SwarmCluster : IAsyncDisposable
{
    /// <summary>Enough for the hot code to be compiled, sockets to be opened and every peer to be known.</summary>
    private const int WarmUpShards = 64;
    private const string WarmUpName = "warmup@1";

    /// <summary>Processes that start at a time: more would only take turns on a small machine, until one of them misses its deadline.</summary>
    private const int StartsAtOnce = 4;

    /// <summary>
    /// What many .NET processes on few cores would spend on being many, and a node with cores of its own does not: compiling the same code a second time, better, while it runs, and waiting
    /// for work with a busy processor.
    /// </summary>
    private static readonly Dictionary<string, string> ManyOnFewCores = new() { ["DOTNET_TieredCompilation"] = "0", ["DOTNET_ThreadPool_UnfairSemaphoreSpinLimit"] = "0" };

    private readonly SharedMemoryFolder _folder;
    private readonly Dictionary<string, string> _environment;
    private readonly List<SwarmNode> _nodes = [];
    private readonly List<SwarmNode> _consumers = [];
    private P2pwProcess? _trackerProcess;

    private SwarmCluster(SharedMemoryFolder folder, SwarmShape shape, Dictionary<string, string> environment) => (_folder, Shape, _environment) = (folder, shape, environment);

    public SwarmShape Shape { get; }

    /// <summary>Base address of the tracker, the same after a restart.</summary>
    public Uri Tracker { get; private set; } = null!;

    public SwarmNode Publisher { get; private set; } = null!;

    /// <summary>The nodes that pull, in the order of their names.</summary>
    public IReadOnlyList<SwarmNode> Consumers => _consumers;

    /// <summary>Starts everything and, where time is measured, has every node pull something small, so that nothing that is measured happens for the first time.</summary>
    /// <param name="consumerRates">Caps of each consumer, in bytes per second.</param>
    /// <param name="isMeasured">Whether time matters afterwards more than it does now.</param>
    public static async Task<SwarmCluster> StartAsync(
        SharedMemoryFolder folder, SwarmShape shape, IReadOnlyList<long> consumerRates, bool isMeasured, CancellationToken cancellationToken)
    {
        var cluster = new SwarmCluster(folder, shape, isMeasured ? ManyOnFewCores : []);
        try
        {
            await cluster.StartTrackerAsync(cancellationToken);
            cluster.Publisher = await cluster.StartNodeAsync("publisher", shape.Rate, SpareBytes(shape), cancellationToken);
            var consumers = new SwarmNode[consumerRates.Count];
            await Parallel.ForEachAsync(
                Enumerable.Range(0, consumers.Length),
                new ParallelOptions { MaxDegreeOfParallelism = StartsAtOnce, CancellationToken = cancellationToken },
                async (i, token) => consumers[i] = await cluster.StartNodeAsync(
                    string.Create(CultureInfo.InvariantCulture, $"node-{i:00}"), consumerRates[i], ConsumerBytes(shape), token));
            cluster._consumers.AddRange(consumers);
            if (isMeasured)
            {
                await cluster.PublishAsync(cluster.Publisher, WarmUpName, WarmUpShards, cancellationToken);
                await Task.WhenAll(consumers.Select(node => node.Node.Client.PullAsync(new CheckpointPullRequest(WarmUpName, Folder: null), progress: null, cancellationToken)));
            }

            return cluster;
        }
        catch
        {
            await cluster.DisposeAsync();
            throw;
        }
    }

    /// <summary>Bytes of /dev/shm that a cluster takes: every memory tier in full, and so many checkpoints beside the warm-up as files of the publisher.</summary>
    public static long SharedMemoryBytes(SwarmShape shape, int checkpoints) =>
        ((shape.Nodes - 1) * ConsumerBytes(shape)) + SpareBytes(shape) + (checkpoints * shape.Bytes) + ((long)WarmUpShards * shape.ShardBytes);

    /// <summary>Starts the tracker, or starts it again where it was.</summary>
    public async Task StartTrackerAsync(CancellationToken cancellationToken)
    {
        var listen = Tracker is null ? "127.0.0.1:0" : Tracker.Authority;
        (_trackerProcess, var ready) = await P2pwProcess.StartAsync(["tracker", "--listen", listen, "--data", _folder["tracker"]], cancellationToken);
        Tracker = new Uri(ready["tracker"]);
    }

    /// <summary>Ends the tracker as a crash would.</summary>
    public async Task KillTrackerAsync()
    {
        if (_trackerProcess is { } process)
        {
            _trackerProcess = null;
            process.Kill();
            await process.DisposeAsync();
        }
    }

    /// <summary>Publishes random bytes from files that the node references.</summary>
    public Task<PublishReport> PublishAsync(string checkpoint, CancellationToken cancellationToken) => PublishAsync(Publisher, checkpoint, Shape.Shards, cancellationToken);

    /// <summary>Folder of the files that a node published.</summary>
    public string FilesOf(SwarmNode node, string checkpoint) => _folder[$"files-{node.Name}-{checkpoint}"];

    /// <summary>Publishes the files of a folder as they are.</summary>
    public Task<PublishReport> PublishFolderAsync(SwarmNode node, string folder, string checkpoint, CancellationToken cancellationToken) => node.Node.Client.PublishAsync(
        new PublishRequest(folder, checkpoint, Copy: false, [], new Dictionary<string, string>(), Shape.ShardBytes), progress: null, cancellationToken);

    public async ValueTask DisposeAsync()
    {
        await Parallel.ForEachAsync(_nodes, async (node, _) => await node.Node.DisposeAsync());
        await KillTrackerAsync();
    }

    /// <summary>What an empty node needs beside checkpoints; the publisher serves from its files.</summary>
    private static long SpareBytes(SwarmShape shape) => Math.Max(16L << 20, 16L * shape.ShardBytes);

    /// <summary>One checkpoint and a quarter: the next one pushes the last out, as on a node that has run for a while.</summary>
    private static long ConsumerBytes(SwarmShape shape) => (shape.Bytes / 4 * 5) + SpareBytes(shape);

    private async Task<SwarmNode> StartNodeAsync(string name, long rate, long memoryBytes, CancellationToken cancellationToken)
    {
        var cap = rate.ToString(CultureInfo.InvariantCulture);
        var started = new SwarmNode(await P2pwNode.StartAsync(
            _folder, name, Tracker.ToString(), memoryBytes, ["--paths", "tcp", "--upload-limit", cap, "--download-limit", cap], _environment, cancellationToken));
        lock (_nodes)
        {
            _nodes.Add(started);
        }

        return started;
    }

    private async Task<PublishReport> PublishAsync(SwarmNode node, string checkpoint, int shards, CancellationToken cancellationToken)
    {
        var files = FilesOf(node, checkpoint);
        Directory.CreateDirectory(files);
        _folder.CreateRandomFile(Path.Combine(files, "weights.bin"), (long)shards * Shape.ShardBytes);
        return await PublishFolderAsync(node, files, checkpoint, cancellationToken);
    }
}
