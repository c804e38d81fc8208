using System.Diagnostics;
using System.Globalization;
using P2PWeights.Bench.Measuring;

namespace P2PWeights.Bench.Swarm;

/// <summary>The anchor: the same swarm as BitTorrent, every node an aria2 behind the same caps, pieces of the size of our shards.</summary>
internal sealed class Aria2Swarm : IAsyncDisposable
{
    public static readonly Tool Command = new("aria2c", package: "aria2");

    private static readonly TimeSpan LookInterval = TimeSpan.FromMilliseconds(50);

    private readonly SharedMemoryFolder _folder;
    private readonly SwarmShape _shape;
    private readonly TorrentTracker _tracker = new();
    private readonly List<Process> _clients = [];

    /// <summary>Outside of /dev/shm, where programs may not be executable.</summary>
    private readonly DirectoryInfo _hooks = Directory.CreateTempSubdirectory("p2pw-bench-");

    public Aria2Swarm(SharedMemoryFolder folder, SwarmShape shape)
    {
        (_folder, _shape) = (folder, shape);

        // Run by aria2 when a download is there and its seeding begins, with the path of the file as the third argument.
        File.WriteAllText(Hook, "#!/bin/sh\n: > \"$3.done\"\n");
        File.SetUnixFileMode(Hook, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
    }

    private string Hook => Path.Combine(_hooks.FullName, "done");

    /// <summary>Has a file go from one client to all others, which start at the same time.</summary>
    /// <returns>Bytes per second of the last finisher, from the start of the first client.</returns>
    public async Task<double> RunAsync(CancellationToken cancellationToken)
    {
        _tracker.Clear();
        var root = Directory.CreateDirectory(_folder["aria2"]);
        try
        {
            var data = _folder.CreateRandomFile(Path.Combine("aria2", "weights.bin"), _shape.Bytes);
            var torrent = Path.Combine(root.FullName, "weights.torrent");
            await Torrent.WriteAsync(torrent, data, _shape.ShardBytes, _tracker.Address, cancellationToken);
            Start(root.FullName, torrent, "--bt-seed-unverified=true");
            var folders = Enumerable.Range(1, _shape.Nodes - 1).Select(i => root.CreateSubdirectory(string.Create(CultureInfo.InvariantCulture, $"node-{i}")).FullName).ToList();
            var started = Stopwatch.GetTimestamp();
            folders.ForEach(folder => Start(folder, torrent));
            while (folders.Any(folder => !File.Exists(Path.Combine(folder, "weights.bin.done"))))
            {
                if (_clients.Find(client => client.HasExited) is { } ended)
                {
                    throw new BenchException($"an aria2 ended with exit code {ended.ExitCode} before all were through");
                }

                await Task.Delay(LookInterval, cancellationToken);
            }

            return _shape.Bytes / Stopwatch.GetElapsedTime(started).TotalSeconds;
        }
        finally
        {
            StopClients();
            root.Delete(recursive: true);
        }
    }

    public async ValueTask DisposeAsync()
    {
        StopClients();
        await _tracker.DisposeAsync();
        _hooks.Delete(recursive: true);
    }

    private void Start(string folder, string torrent, params string[] more)
    {
        var client = Command.Start(
        [
            $"--dir={folder}", $"--listen-port={Number(LoopbackPort.Free())}", $"--max-overall-upload-limit={Number(_shape.Rate)}", $"--max-overall-download-limit={Number(_shape.Rate)}",
            $"--bt-max-peers={Number(_shape.Nodes)}", "--seed-ratio=0", "--enable-dht=false", "--enable-dht6=false", "--disable-ipv6=true", "--file-allocation=none", "--no-conf=true", "--quiet=true",
            $"--on-bt-download-complete={Hook}", .. more, torrent,
        ]);
        _clients.Add(client);

        // Quiet as it is, nobody reading its output would stop it one day.
        client.OutputDataReceived += static (_, _) => { };
        client.ErrorDataReceived += static (_, _) => { };
        client.BeginOutputReadLine();
        client.BeginErrorReadLine();
    }

    private void StopClients()
    {
        foreach (var client in _clients)
        {
            Tool.Kill(client);
            client.Dispose();
        }

        _clients.Clear();
    }

    private static string Number(long number) => number.ToString(CultureInfo.InvariantCulture);
}
