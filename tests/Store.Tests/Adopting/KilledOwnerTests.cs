using System.Diagnostics;
using System.Globalization;
using Microsoft.Extensions.Logging.Abstractions;
using P2PWeights.Native.Posix;
using P2PWeights.Store.Adopting;
using P2PWeights.Store.Content;
using P2PWeights.Store.Hashing;
using P2PWeights.Testing;

namespace P2PWeights.Store.Tests.Adopting;

/// <summary>The owner of a borrowed range is a process of its own, and is killed.</summary>
public sealed class KilledOwnerTests
{
    /// <summary>First argument of the process that owns the arena.</summary>
    public const string Mode = "arena-owner";

    private const int Size = 500_000;

    [Fact]
    public async Task Borrowed_bytes_outlive_a_killed_owner_and_not_its_return()
    {
        await using var owner = new StoreFixture();
        await using var borrower = new StoreFixture();
        var store = await borrower.OpenAsync();
        var bytes = new Seeded(owner.Seeded.Seed).Bytes(Size);
        var shard = new ShardInfo(Blake3.Hash(bytes), Size);
        var kept = new ShardInfo(Blake3.Hash(bytes.AsSpan(0, Size / 2)), Size / 2);
        var process = await StartAsync(owner);
        ForeignArena arena;
        try
        {
            var (path, offset, keptOffset) = await PlacesAsync(process);
            arena = ForeignArena.TryOpen(path, out var problem) ?? throw new InvalidOperationException(problem);
            Assert.True(store.Borrow(shard, arena, offset, new Promise()));
            Assert.True(store.Borrow(kept, arena, keptOffset, new Promise()));
        }
        finally
        {
            await KillAsync(process);
        }

        using (arena)
        {
            Assert.Equal(bytes, await store.GetAsync(shard.Digest));
            using var lease = await store.LeaseAsync(shard.Digest, StoreFixture.Deadline);
            var next = await StartAsync(owner);
            try
            {
                await PlacesAsync(next);

                await Assert.ThrowsAsync<StoreException>(() => lease!.Value.ReadAsync(new byte[Size], StoreFixture.Deadline).AsTask());
                Assert.Null(await store.LeaseAsync(shard.Digest, StoreFixture.Deadline));

                // The new owner found its shards again and has not moved them: what is there can still be copied, and is hashed.
                Assert.True(await store.KeepBorrowedAsync(kept.Digest, StoreFixture.Deadline));
                Assert.Equal(bytes[..(Size / 2)], await store.GetAsync(kept.Digest));
            }
            finally
            {
                await KillAsync(next);
            }
        }
    }

    /// <summary>What the process does: <c>DATA ARENAS SEED</c>; holds two shards, prints where they lie, and waits to be killed.</summary>
    public static async Task<int> RunAsync(string[] args)
    {
        var options = new StoreOptions { DataDirectory = args[0], ArenaRoot = args[1], MemoryBytes = 16 << 20, ScrubBytesPerSecond = 0 };
        await using var store = await ShardStore.OpenAsync(options, TimeProvider.System, NullLoggerFactory.Instance, default);
        var bytes = new Seeded(int.Parse(args[2], CultureInfo.InvariantCulture)).Bytes(Size);
        var offsets = new List<long>();
        foreach (var held in (byte[][])[bytes, bytes[..(Size / 2)]])
        {
            var shard = new ShardInfo(Blake3.Hash(held), held.Length);
            if (!store.Contains(shard.Digest))
            {
                await store.PutAsync(shard, held);
            }

            using var lease = await store.LeaseAsync(shard.Digest, default);
            offsets.Add(lease!.Value.Offset);
        }

        Console.WriteLine($"{offsets[0]} {offsets[1]} {store.Arena!.Path}");
        await Task.Delay(Timeout.Infinite);
        return 0;
    }

    private static Task<Process> StartAsync(StoreFixture owner)
    {
        var start = new ProcessStartInfo(Environment.ProcessPath!) { RedirectStandardOutput = true };
        foreach (var argument in (string[])["exec", typeof(KilledOwnerTests).Assembly.Location, Mode, owner.DataFolder, owner.ArenaRoot,
            owner.Seeded.Seed.ToString(CultureInfo.InvariantCulture)])
        {
            start.ArgumentList.Add(argument);
        }

        return Task.FromResult(Process.Start(start)!);
    }

    private static async Task<(string Path, long Offset, long KeptOffset)> PlacesAsync(Process process)
    {
        var line = await process.StandardOutput.ReadLineAsync(StoreFixture.Deadline);
        var parts = line!.Split(' ', 3);
        return (parts[2], long.Parse(parts[0], CultureInfo.InvariantCulture), long.Parse(parts[1], CultureInfo.InvariantCulture));
    }

    private static async Task KillAsync(Process process)
    {
        ProcessControl.Signal(process.Id, PosixSignalNumber.Kill);
        await process.WaitForExitAsync(StoreFixture.Deadline);
        process.Dispose();
    }
}
