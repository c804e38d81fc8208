using System.Diagnostics;
using System.Globalization;
using P2PWeights.Bench.Measuring;
using P2PWeights.Client;
using P2PWeights.Store.Content;

namespace P2PWeights.Bench.Pulling;

/// <summary>A tracker, one node that holds checkpoints and one that pulls them, each a process of its own, on loopback.</summary>
internal sealed class PullCluster : IAsyncDisposable
{
    /// <summary>Enough small shards to have the hot code compiled on both sides, and to fill the consumer's memory once, before anything is measured.</summary>
    private const long WarmUpBytes = 512L << 20;
    private const int WarmUpShardBytes = 1 << 20;

    /// <summary>Room beside the checkpoints.</summary>
    private const long SpareBytes = 32L << 20;

    private readonly SharedMemoryFolder _folder;
    private readonly bool _copy;
    private readonly List<P2pwProcess> _processes = [];
    private readonly List<NodeClient> _clients = [];

    /// <summary>A node keeps its memory tier for its next start; these nodes have none.</summary>
    private readonly List<string> _arenas = [];
    private int _pulls;
    private int _contents;

    private PullCluster(SharedMemoryFolder folder, bool copy) => (_folder, _copy) = (folder, copy);

    private NodeClient Source => _clients[0];

    private NodeClient Consumer => _clients[1];

    /// <summary>Starts the processes, publishes and warms up.</summary>
    /// <param name="copy">True: the source serves from its memory tier; false: from the files that it references.</param>
    /// <param name="contents">Checkpoints of this size to publish; pulls take them in turn.</param>
    public static async Task<PullCluster> StartAsync(SharedMemoryFolder folder, bool copy, long size, int contents, CancellationToken cancellationToken)
    {
        var cluster = new PullCluster(folder, copy);
        try
        {
            var tracker = await cluster.RunAsync(["tracker", "--listen", "127.0.0.1:0", "--data", folder["tracker"]], cancellationToken);
            await cluster.StartNodeAsync("source", tracker["tracker"], (copy ? contents * size + WarmUpBytes : 0) + SpareBytes, cancellationToken);
            await cluster.StartNodeAsync("consumer", tracker["tracker"], ConsumerBytes(size) + SpareBytes, cancellationToken);
            await cluster.PublishAsync("warmup@1", WarmUpBytes, WarmUpShardBytes, cancellationToken);
            await cluster.Consumer.PullAsync(new CheckpointPullRequest("warmup@1", Folder: null), progress: null, cancellationToken);
            for (var i = 0; i < contents; i++)
            {
                await cluster.PublishAsync(NameOf(i), size, Manifest.DefaultMaxShardBytes, cancellationToken);
            }

            cluster._contents = contents;
            return cluster;
        }
        catch
        {
            await cluster.DisposeAsync();
            throw;
        }
    }

    /// <summary>
    /// The consumer's memory tier: the warm-up fits, and of large checkpoints one and a half. So a checkpoint that comes up again after two others has been
    /// evicted to its last shard.
    /// </summary>
    public static long ConsumerBytes(long size) => Math.Max(WarmUpBytes, size + size / 2);

    /// <summary>Pulls the next checkpoint into the consumer's memory tier, as a user of the node does.</summary>
    /// <returns>Bytes per second from the call to its answer, in GB/s.</returns>
    public async Task<double> PullAsync(CancellationToken cancellationToken)
    {
        var started = Stopwatch.GetTimestamp();
        var report = (await Consumer.PullAsync(new CheckpointPullRequest(NameOf(_pulls++ % _contents), Folder: null), progress: null, cancellationToken)).Transfer;
        var seconds = Stopwatch.GetElapsedTime(started).TotalSeconds;
        return report.BytesFetched == report.BytesTotal && report.BytesWasted == 0
            ? report.BytesTotal / 1e9 / seconds
            : throw new BenchException(
                $"a pull of {report.BytesTotal} bytes fetched {report.BytesFetched}, found {report.BytesReused} and wasted {report.BytesWasted}: that is not what is to be measured");
    }

    public async ValueTask DisposeAsync()
    {
        _clients.ForEach(client => client.Dispose());
        for (var i = _processes.Count - 1; i >= 0; i--)
        {
            await _processes[i].DisposeAsync();
        }

        foreach (var arena in _arenas.Where(Directory.Exists))
        {
            Directory.Delete(arena, recursive: true);
        }
    }

    private static string NameOf(int content) => string.Create(CultureInfo.InvariantCulture, $"bench@{content}");

    private async Task<Dictionary<string, string>> RunAsync(IEnumerable<string> arguments, CancellationToken cancellationToken)
    {
        var (process, ready) = await P2pwProcess.StartAsync(arguments, cancellationToken);
        _processes.Add(process);
        return ready;
    }

    private async Task StartNodeAsync(string name, string tracker, long memoryBytes, CancellationToken cancellationToken)
    {
        var ready = await RunAsync(
            [
                "node", "--name", name, "--tracker", tracker, "--listen", "127.0.0.1:0", "--data", _folder[name], "--socket", _folder[$"{name}.sock"],
                "--memory", memoryBytes.ToString(CultureInfo.InvariantCulture), "--disk", "0", "--scrub-rate", "0",
            ],
            cancellationToken);
        _arenas.Add(Path.Combine("/dev/shm", $"p2pweights-{Guid.Parse(ready["id"]):N}"));
        _clients.Add(new NodeClient(_folder[$"{name}.sock"]));
    }

    private async Task PublishAsync(string name, long size, int maxShardBytes, CancellationToken cancellationToken)
    {
        var files = _folder[$"files-{name}"];
        Directory.CreateDirectory(files);
        _folder.CreateRandomFile(Path.Combine(files, "weights.bin"), size);
        await Source.PublishAsync(new PublishRequest(files, name, _copy, [], new Dictionary<string, string>(), maxShardBytes), progress: null, cancellationToken);
        if (_copy)
        {
            Directory.Delete(files, recursive: true);
        }
    }
}
