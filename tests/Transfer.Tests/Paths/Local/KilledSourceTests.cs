using System.Collections.Immutable;
using System.Diagnostics;
using System.Globalization;
using Microsoft.Extensions.Logging.Abstractions;
using P2PWeights.Native.Posix;
using P2PWeights.Store;
using P2PWeights.Store.Folders;
using P2PWeights.Testing;

namespace P2PWeights.Transfer.Tests.Paths.Local;

/// <summary>The source is a process of its own, and is killed.</summary>
public sealed class KilledSourceTests
{
    private const int Shards = 24;
    private const int Size = 1 << 20;

    [Fact]
    public async Task Shards_borrowed_from_a_killed_source_are_copied_and_right()
    {
        using var folder = new TempFolder();
        var checkpoint = TestCheckpoint.Seed(new Seeded(), Shards, Size);
        await using var node = await TestNode.StartAsync("node", LocalPullTests.LocalFirst);
        var lost = 0;
        using (var source = await SourceProcess.StartAsync(folder, checkpoint.Seeded.Seed))
        {
            node.Meet(checkpoint, source.Info);
            var report = await node.PullAsync(checkpoint);
            Assert.Equal(PathNames.Local, Assert.Single(report.Sources).MainPath());
            node.Store.Changed += change => lost += change.Gained ? 0 : 1;
            await source.KillAsync();
        }

        // Readers while it is copied: each gets the right bytes.
        await Task.WhenAll(Enumerable.Range(0, 3).Select(_ => Task.Run(() => node.AssertHoldsAsync(checkpoint))));
        await Eventually.HoldsAsync(
            () => checkpoint.Manifest.Shards.All(shard => node.Store.Locate(shard.Digest) == Tiers.Memory), $"the borrowed shards were copied; {checkpoint.Seeded}");
        await node.AssertHoldsAsync(checkpoint);
        Assert.Equal(0, lost);
    }

    [Fact]
    public async Task Source_killed_during_a_pull_into_a_folder_costs_a_retry()
    {
        using var folder = new TempFolder();
        var checkpoint = TestCheckpoint.Seed(new Seeded(), Shards, Size);
        await using var node = await TestNode.StartAsync("node", LocalPullTests.LocalFirst);
        await using var other = await TestNode.StartAsync("other", LocalPullTests.LocalFirst);
        using var source = await SourceProcess.StartAsync(folder, checkpoint.Seeded.Seed);
        node.Meet(checkpoint, source.Info);
        var killed = 0;
        var began = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        node.Store.Changed += _ =>
        {
            if (Interlocked.Increment(ref killed) == 3)
            {
                began.TrySetResult();
            }
        };
        await using var target = CheckpointFolder.Open(node["out"], checkpoint.Manifest);

        var pull = node.PullAsync(checkpoint, target);
        await began.Task.WaitAsync(TestNode.Deadline);
        await source.KillAsync();
        await other.HoldAsync(checkpoint);
        node.Meet(checkpoint, other.Info);
        await pull;

        await target.CompleteAsync(TestNode.Deadline);
        Assert.True(
            checkpoint.Bytes.SelectMany(bytes => bytes).SequenceEqual(await File.ReadAllBytesAsync(Path.Combine(node["out"], "weights.bin"))), checkpoint.Seeded.ToString());
    }

    /// <summary>A node in a process of its own: <c>dotnet exec P2PWeights.Transfer.Tests.dll DATA ARENAS SEED</c>. The assembly's one entry point.</summary>
    internal static class Program
    {
        public static async Task<int> Main(string[] args)
        {
            if (args.Length != 3)
            {
                await Console.Error.WriteLineAsync("started by KilledSourceTests: DATA ARENAS SEED");
                return 2;
            }

            var checkpoint = TestCheckpoint.Seed(new Seeded(int.Parse(args[2], CultureInfo.InvariantCulture)), Shards, Size);
            var options = new StoreOptions { DataDirectory = args[0], ArenaRoot = args[1], MemoryBytes = 64 << 20, ScrubBytesPerSecond = 0 };
            await using var store = await ShardStore.OpenAsync(options, TimeProvider.System, NullLoggerFactory.Instance, default);
            foreach (var ordinal in checkpoint.All)
            {
                using var write = await store.BeginWriteAsync(checkpoint.Manifest.Shards[ordinal], null, default);
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

    private sealed class SourceProcess(Process process, PeerInfo info) : IDisposable
    {
        public PeerInfo Info => info;

        public static async Task<SourceProcess> StartAsync(TempFolder folder, int seed)
        {
            Directory.CreateDirectory(folder["shm"]);
            var start = new ProcessStartInfo(Environment.ProcessPath!) { RedirectStandardOutput = true };
            foreach (var argument in (string[])["exec", typeof(KilledSourceTests).Assembly.Location, folder["data"], folder["shm"], seed.ToString(CultureInfo.InvariantCulture)])
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
            ProcessControl.Signal(process.Id, PosixSignalNumber.Kill);
            await process.WaitForExitAsync(TestNode.Deadline);
        }

        public void Dispose()
        {
            if (!process.HasExited)
            {
                ProcessControl.Signal(process.Id, PosixSignalNumber.Kill);
            }

            process.Dispose();
        }
    }
}
