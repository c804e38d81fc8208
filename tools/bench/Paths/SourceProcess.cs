using System.Collections.Immutable;
using System.Diagnostics;
using P2PWeights.Bench.Measuring;
using P2PWeights.Store;
using P2PWeights.Transfer;

namespace P2PWeights.Bench.Paths;

/// <summary>
/// The side that holds the shards, seen from the one that takes them: this program once more, by a hidden command, so that its processor time is a number. It says <c>ready ID HOST:PORT</c> and
/// serves until its standard input ends. Owns the process.
/// </summary>
internal sealed class SourceProcess : IDisposable
{
    /// <summary>What both sides are said to be on: they are.</summary>
    public const string HostId = "this machine";

    private const string ReadyWord = "ready";

    private static readonly TimeSpan EndTime = TimeSpan.FromSeconds(30);

    private readonly Process _process;

    private SourceProcess(Process process, PeerInfo peer) => (_process, Peer) = (process, peer);

    /// <summary>How it is reached.</summary>
    public PeerInfo Peer { get; }

    /// <summary>Starts a source; it is ready when this returns.</summary>
    /// <exception cref="BenchException">It ended before.</exception>
    public static async Task<SourceProcess> StartAsync(string command, string[] arguments, CancellationToken cancellationToken)
    {
        var process = OwnProcess.Start([command, .. arguments]);
        try
        {
            var line = await process.StandardOutput.ReadLineAsync(cancellationToken);
            return line?.Split(' ') is [ReadyWord, var id, var endpoint]
                ? new SourceProcess(process, new PeerInfo(Guid.Parse(id), "source", [endpoint], HostId, ImmutableSortedDictionary<string, string>.Empty))
                : throw new BenchException($"the process {command} ended before it was ready; its reason is above");
        }
        catch
        {
            End(process);
            throw;
        }
    }

    /// <summary>In the source: says that it is ready, and waits until it is not needed any more.</summary>
    /// <returns>The exit code.</returns>
    public static async Task<int> ServeAsync(ShardStore store, TransferService service, CancellationToken cancellationToken)
    {
        Console.Out.WriteLine($"{ReadyWord} {store.NodeId} {service.LocalEndPoint}");
        await Console.In.ReadToEndAsync(cancellationToken);
        return 0;
    }

    /// <summary>Takes the time of bringing so many bytes from it, and the processor time of both processes.</summary>
    public async Task<Sample> MeasureAsync(long bytes, Func<Task> run)
    {
        var (sourceCpu, ownCpu) = (CpuClock.SecondsOf(_process.Id), CpuClock.SecondsOf(Environment.ProcessId));
        var started = Stopwatch.GetTimestamp();
        await run();
        var seconds = Stopwatch.GetElapsedTime(started).TotalSeconds;
        return Sample.Of(bytes, seconds, CpuClock.SecondsOf(_process.Id) - sourceCpu, CpuClock.SecondsOf(Environment.ProcessId) - ownCpu);
    }

    public void Dispose() => End(_process);

    private static void End(Process process)
    {
        process.StandardInput.Close();
        if (!process.WaitForExit(EndTime))
        {
            Tool.Kill(process);
        }

        process.Dispose();
    }
}
