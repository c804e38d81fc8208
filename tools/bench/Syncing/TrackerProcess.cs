using System.Diagnostics;
using System.Globalization;
using P2PWeights.Bench.Measuring;
using P2PWeights.Bench.Pulling;
using P2PWeights.Store.Content;
using P2PWeights.Store.Hashing;
using P2PWeights.Tracker;

namespace P2PWeights.Bench.Syncing;

/// <summary>The tracker under load: the process that users run, with a manifest in it, and what it takes of the machine.</summary>
internal sealed class TrackerProcess : IAsyncDisposable
{
    private readonly SharedMemoryFolder _folder;
    private readonly P2pwProcess _process;

    private TrackerProcess(SharedMemoryFolder folder, P2pwProcess process, Uri address) => (_folder, _process, Address) = (folder, process, address);

    public Uri Address { get; }

    public static async Task<TrackerProcess> StartAsync(Manifest manifest, CancellationToken cancellationToken)
    {
        var folder = new SharedMemoryFolder("-tracker");
        var (process, ready) = await P2pwProcess.StartAsync(["tracker", "--listen", "127.0.0.1:0", "--data", folder["data"]], cancellationToken);
        var tracker = new TrackerProcess(folder, process, new Uri(ready["tracker"]));
        using var client = new TrackerClient([tracker.Address], null, TimeProvider.System);
        await client.PutManifestAsync(manifest, cancellationToken);
        return tracker;
    }

    /// <summary>A manifest of so many shards of 16 MiB, which need not exist: a tracker has never seen a shard.</summary>
    public static Manifest CreateManifest(int shards)
    {
        ShardInfo[] list =
        [
            .. Enumerable.Range(0, shards).Select(i => new ShardInfo(
                Blake3.Hash(BitConverter.GetBytes(i)), Manifest.DefaultMaxShardBytes)),
        ];
        return Manifest.Create(Manifest.DefaultMaxShardBytes, [("weights.bin", (long)shards * Manifest.DefaultMaxShardBytes, list)], [], []);
    }

    /// <summary>Processor time so far.</summary>
    public double CpuSeconds() => CpuClock.SecondsOf(_process.Id);

    /// <summary>Memory that it occupies now, and the most that it ever did, in bytes (proc_pid_status(5), VmRSS and VmHWM).</summary>
    public (long Now, long Peak) Resident()
    {
        var lines = File.ReadAllLines(string.Create(CultureInfo.InvariantCulture, $"/proc/{_process.Id}/status"));
        return (Read(lines, "VmRSS:"), Read(lines, "VmHWM:"));
    }

    public async ValueTask DisposeAsync()
    {
        await _process.DisposeAsync();
        _folder.Dispose();
    }

    /// <summary>Processor time of this process so far.</summary>
    public static double OwnCpuSeconds()
    {
        using var self = Process.GetCurrentProcess();
        return self.TotalProcessorTime.TotalSeconds;
    }

    private static long Read(string[] lines, string key) =>
        long.Parse(lines.First(line => line.StartsWith(key, StringComparison.Ordinal)).Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture) << 10;
}
