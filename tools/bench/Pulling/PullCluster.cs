using System.Globalization;
using P2PWeights.Bench.Measuring;
using P2PWeights.Client;
using P2PWeights.Store.Content;

namespace P2PWeights.Bench.Pulling;

/// <summary>A tracker, one node that holds checkpoints and others that pull them, each a process of its own, on loopback.</summary>
internal sealed class PullCluster : IAsyncDisposable
{
    /// <summary>Enough small shards to have the hot code compiled on both sides, and to fill a consumer's memory once, before anything is measured.</summary>
    private const long WarmUpBytes = 512L << 20;
    private const int WarmUpShardBytes = 1 << 20;
    private const string WarmUpName = "warmup@1";

    /// <summary>Room beside the checkpoints.</summary>
    private const long SpareBytes = 32L << 20;

    private readonly SharedMemoryFolder _folder;
    private readonly bool _copy;
    private readonly long _size;
    private readonly int _maxShardBytes;
    private readonly List<P2pwNode> _nodes = [];
    private P2pwProcess? _trackerProcess;
    private string _tracker = "";
    private P2pwNode _source = null!;
    private int _contents;

    private PullCluster(SharedMemoryFolder folder, bool copy, long size, int maxShardBytes) => (_folder, _copy, _size, _maxShardBytes) = (folder, copy, size, maxShardBytes);

    /// <summary>Starts tracker and source, and publishes.</summary>
    /// <param name="copy">True: the source serves from its memory tier; false: from the files that it references.</param>
    /// <param name="contents">Checkpoints of this size to publish; pulls take them in turn.</param>
    /// <param name="flags">More of the source's.</param>
    public static async Task<PullCluster> StartAsync(
        SharedMemoryFolder folder, bool copy, long size, int contents, CancellationToken cancellationToken, IEnumerable<string>? flags = null, int maxShardBytes = Manifest.DefaultMaxShardBytes)
    {
        var cluster = new PullCluster(folder, copy, size, maxShardBytes);
        try
        {
            (cluster._trackerProcess, var ready) = await P2pwProcess.StartAsync(["tracker", "--listen", "127.0.0.1:0", "--data", folder["tracker"]], cancellationToken);
            cluster._tracker = ready["tracker"];
            // A quarter more than it holds: of its memory a node lends seven eighths to neighbours on the same host, and all of it is borrowed here.
            cluster._source = await cluster.StartNodeAsync("source", flags ?? [], (copy ? (contents * size + WarmUpBytes) / 4 * 5 : 0) + SpareBytes, cancellationToken);
            await cluster.PublishAsync(WarmUpName, WarmUpBytes, WarmUpShardBytes, cancellationToken);
            for (; cluster._contents < contents; cluster._contents++)
            {
                await cluster.PublishAsync(NameOf(cluster._contents), size, maxShardBytes, cancellationToken);
            }

            return cluster;
        }
        catch
        {
            await cluster.DisposeAsync();
            throw;
        }
    }

    /// <summary>
    /// A consumer's memory tier: the warm-up fits, and of large checkpoints one and a half. So a checkpoint that comes up again after two others has been
    /// evicted to its last shard.
    /// </summary>
    public static long ConsumerBytes(long size) => Math.Max(WarmUpBytes, size + size / 2);

    /// <summary>How many checkpoints of a size it takes that, pulled in turn, each has been pushed out of the consumer when its turn comes again.</summary>
    public static int TurnsOf(long size) => (int)(ConsumerBytes(size) / size) + 2;

    /// <summary>Name of a published checkpoint.</summary>
    public static string NameOf(int content) => string.Create(CultureInfo.InvariantCulture, $"bench@{content}");

    /// <summary>Where the file of a checkpoint lies that the source references.</summary>
    public string FilesOf(int content) => _folder[$"files-{NameOf(content)}"];

    /// <summary>Starts another node that serves the same checkpoints, from the same files.</summary>
    public async Task AddSourceAsync(IEnumerable<string> flags, CancellationToken cancellationToken)
    {
        var node = await StartNodeAsync($"source-{_nodes.Count}", flags, SpareBytes, cancellationToken);
        await PublishFilesAsync(node.Client, WarmUpName, WarmUpShardBytes, cancellationToken);
        for (var content = 0; content < _contents; content++)
        {
            await PublishFilesAsync(node.Client, NameOf(content), _maxShardBytes, cancellationToken);
        }
    }

    /// <summary>Starts a node that pulls by one path, and warms it up.</summary>
    /// <param name="flags">More of its own.</param>
    public async Task<PullConsumer> AddConsumerAsync(string path, CancellationToken cancellationToken, IEnumerable<string>? flags = null)
    {
        var node = await StartNodeAsync($"consumer-{_nodes.Count}", ["--paths", path, .. flags ?? []], ConsumerBytes(_size) + SpareBytes, cancellationToken);
        await node.Client.PullAsync(new CheckpointPullRequest(WarmUpName, Folder: null), progress: null, cancellationToken);
        return new PullConsumer(node.Client, path, _contents, () => CpuClock.SecondsOf(_source.Process.Id), () => CpuClock.SecondsOf(node.Process.Id));
    }

    public async ValueTask DisposeAsync()
    {
        for (var i = _nodes.Count - 1; i >= 0; i--)
        {
            await _nodes[i].DisposeAsync();
        }

        if (_trackerProcess is not null)
        {
            await _trackerProcess.DisposeAsync();
        }
    }

    private async Task<P2pwNode> StartNodeAsync(string name, IEnumerable<string> more, long memoryBytes, CancellationToken cancellationToken)
    {
        _nodes.Add(await P2pwNode.StartAsync(_folder, name, _tracker, memoryBytes, more, new Dictionary<string, string>(), cancellationToken));
        return _nodes[^1];
    }

    private async Task PublishAsync(string name, long size, int maxShardBytes, CancellationToken cancellationToken)
    {
        var files = _folder[$"files-{name}"];
        Directory.CreateDirectory(files);
        _folder.CreateRandomFile(Path.Combine(files, "weights.bin"), size);
        await PublishFilesAsync(_source.Client, name, maxShardBytes, cancellationToken);
        if (_copy)
        {
            Directory.Delete(files, recursive: true);
        }
    }

    private async Task PublishFilesAsync(NodeClient client, string name, int maxShardBytes, CancellationToken cancellationToken) =>
        await client.PublishAsync(new PublishRequest(_folder[$"files-{name}"], name, _copy, [], new Dictionary<string, string>(), maxShardBytes), progress: null, cancellationToken);
}
