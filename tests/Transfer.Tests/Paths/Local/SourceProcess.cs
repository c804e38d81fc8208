using System.Collections.Immutable;
using System.Diagnostics;
using System.Globalization;
using Microsoft.Extensions.Logging.Abstractions;
using P2PWeights.Native.Posix;
using P2PWeights.Store;
using P2PWeights.Testing;

namespace P2PWeights.Transfer.Tests.Paths.Local;

/// <summary>A source in a process of its own.</summary>
internal sealed class SourceProcess : IDisposable
{
    public const int Shards = 24;
    public const int ShardBytes = 1 << 20;

    private readonly Process _process;

    private SourceProcess(Process process, PeerInfo info) => (_process, Info) = (process, info);

    public PeerInfo Info { get; }

    /// <param name="seed">Of the checkpoint that it holds.</param>
    /// <param name="gpu">The GPU that it holds it on; null for memory.</param>
    public static async Task<SourceProcess> StartAsync(TempFolder folder, int seed, string? gpu = null)
    {
        Directory.CreateDirectory(folder["shm"]);
        var start = new ProcessStartInfo(Environment.ProcessPath!) { RedirectStandardOutput = true };
        string[] arguments = ["exec", typeof(SourceProcess).Assembly.Location, folder["data"], folder["shm"], seed.ToString(CultureInfo.InvariantCulture), .. gpu is null ? (string[])[] : [gpu]];
        foreach (var argument in arguments)
        {
            start.ArgumentList.Add(argument);
        }

        var process = Process.Start(start)!;
        var line = await process.StandardOutput.ReadLineAsync(TestNode.Deadline) ?? throw new InvalidOperationException("the source did not start");
        var parts = line.Split(' ');
        return new SourceProcess(process, new PeerInfo(Guid.Parse(parts[0]), "source", [parts[1]], "host", ImmutableSortedDictionary<string, string>.Empty));
    }

    public async Task KillAsync()
    {
        ProcessControl.Signal(_process.Id, PosixSignalNumber.Kill);
        await _process.WaitForExitAsync(TestNode.Deadline);
    }

    public void Dispose()
    {
        if (!_process.HasExited)
        {
            ProcessControl.Signal(_process.Id, PosixSignalNumber.Kill);
        }

        _process.Dispose();
    }

    /// <summary><c>dotnet exec P2PWeights.Transfer.Tests.dll DATA ARENAS SEED [GPU]</c>. The assembly's one entry point.</summary>
    internal static class Program
    {
        public static async Task<int> Main(string[] args)
        {
            if (args.Length is not (3 or 4))
            {
                await Console.Error.WriteLineAsync("started by tests: DATA ARENAS SEED [GPU]");
                return 2;
            }

            var checkpoint = TestCheckpoint.Seed(new Seeded(int.Parse(args[2], CultureInfo.InvariantCulture)), Shards, ShardBytes);
            var options = new StoreOptions
            {
                DataDirectory = args[0],
                ArenaRoot = args[1],
                MemoryBytes = 64 << 20,
                GpuMemory = args.Length > 3 ? [new GpuMemory(args[3], 64 << 20)] : [],
                ScrubBytesPerSecond = 0,
            };
            await using var store = await ShardStore.OpenAsync(options, TimeProvider.System, NullLoggerFactory.Instance, default);
            foreach (var ordinal in checkpoint.All)
            {
                using var write = await store.BeginWriteAsync(checkpoint.Manifest.Shards[ordinal], args.Length > 3 ? ShardTarget.InGpu(0) : default, default);
                checkpoint.Bytes[ordinal].CopyTo(write.Buffer);
                await write.CommitAsync(default);
            }

            await using var transfer = new TransferService(store, new TransferOptions { Name = "source" }, TimeProvider.System, NullLoggerFactory.Instance);
            transfer.Join(checkpoint.Manifest);
            await transfer.StartAsync(default);
            Console.WriteLine($"{store.NodeId} {transfer.LocalEndPoint}");
            await Task.Delay(Timeout.Infinite);
            return 0;
        }
    }
}
