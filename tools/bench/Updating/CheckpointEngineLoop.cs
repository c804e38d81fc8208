using System.Diagnostics;
using System.Globalization;
using P2PWeights.Bench.Measuring;

namespace P2PWeights.Bench.Updating;

/// <summary>The processes of checkpoint_engine_loop.py, one per GPU, which bring as many bytes to every GPU as an update does. They rest while nothing is asked.</summary>
internal sealed class CheckpointEngineLoop : IAsyncDisposable
{
    private const long LargestBucket = 2L << 30;
    private const long SmallestBucket = 64L << 20;

    /// <summary>Buckets per GPU, as far as the two limits allow: with fewer, nothing would be in flight while something else is.</summary>
    private const int BucketsPerGpu = 4;

    private const string Script = "checkpoint_engine_loop.py";

    /// <summary>To load torch, pin the memory and make the communicator; and longest for one update.</summary>
    private static readonly TimeSpan Deadline = TimeSpan.FromMinutes(3);

    private static readonly TimeSpan EndTime = TimeSpan.FromSeconds(20);

    private readonly List<Process> _ranks = [];
    private readonly long _bytes;

    private CheckpointEngineLoop(long bytes) => _bytes = bytes;

    private static string ScriptPath => Path.Combine(AppContext.BaseDirectory, "Updating", Script);

    /// <summary>Why it cannot be measured here; null when it can.</summary>
    public static async Task<string?> UnavailableAsync(CancellationToken cancellationToken)
    {
        if (!File.Exists(ScriptPath))
        {
            return $"{ScriptPath} is missing";
        }

        try
        {
            using var check = Start("--check");
            check.StandardInput.Close();
            var said = (await check.StandardOutput.ReadToEndAsync(cancellationToken)).Trim();
            await check.WaitForExitAsync(cancellationToken);
            return check.ExitCode != 0 ? $"python3 failed: exit code {check.ExitCode}" : said.Length > 0 ? said : null;
        }
        catch (System.ComponentModel.Win32Exception missing)
        {
            return $"no python3: {missing.Message}";
        }
    }

    /// <summary>Whether the ranks have room for their copy of a checkpoint.</summary>
    public static bool HasRoomFor(long bytes)
    {
        var available = File.ReadLines("/proc/meminfo").First(line => line.StartsWith("MemAvailable:", StringComparison.Ordinal)).Split(' ', StringSplitOptions.RemoveEmptyEntries)[1];
        return long.Parse(available, CultureInfo.InvariantCulture) << 10 > bytes + (bytes / 8);
    }

    /// <summary>Starts the ranks; returns when they have done one update that does not count.</summary>
    public static async Task<CheckpointEngineLoop> StartAsync(int ranks, long bytes, CancellationToken cancellationToken)
    {
        var loop = new CheckpointEngineLoop(bytes);
        try
        {
            var port = LoopbackPort.Free();
            var bucket = Math.Clamp(bytes / ranks / BucketsPerGpu, SmallestBucket, LargestBucket);
            for (var rank = 0; rank < ranks; rank++)
            {
                loop._ranks.Add(Start([.. new[] { rank, ranks, port, bytes, bucket }.Select(number => number.ToString(CultureInfo.InvariantCulture))]));
            }

            await Task.WhenAll(loop._ranks.Select(rank => ReadAsync(rank, cancellationToken)));
            return loop;
        }
        catch
        {
            await loop.DisposeAsync();
            throw;
        }
    }

    /// <summary>One update; bytes of the model per second.</summary>
    public async Task<double> UpdateAsync(CancellationToken cancellationToken)
    {
        foreach (var rank in _ranks)
        {
            await rank.StandardInput.WriteLineAsync("update");
            await rank.StandardInput.FlushAsync(cancellationToken);
        }

        var seconds = await Task.WhenAll(_ranks.Select(rank => ReadAsync(rank, cancellationToken)));
        return _bytes / seconds.Max(text => double.Parse(text, CultureInfo.InvariantCulture));
    }

    /// <summary>The ranks end together when their input does; those that do not are killed.</summary>
    public ValueTask DisposeAsync()
    {
        foreach (var rank in _ranks)
        {
            rank.StandardInput.Close();
        }

        foreach (var rank in _ranks)
        {
            if (!rank.WaitForExit(EndTime))
            {
                Tool.Kill(rank);
            }

            rank.Dispose();
        }

        return ValueTask.CompletedTask;
    }

    private static Process Start(params string[] arguments) =>
        Process.Start(new ProcessStartInfo("python3", [ScriptPath, .. arguments]) { RedirectStandardInput = true, RedirectStandardOutput = true })!;

    private static async Task<string> ReadAsync(Process rank, CancellationToken cancellationToken)
    {
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        deadline.CancelAfter(Deadline);
        try
        {
            return await rank.StandardOutput.ReadLineAsync(deadline.Token) ?? throw new BenchException($"a rank of {Script} ended; what it said is above");
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            throw new BenchException($"a rank of {Script} did not answer within {Deadline.TotalSeconds:0} s");
        }
    }
}
