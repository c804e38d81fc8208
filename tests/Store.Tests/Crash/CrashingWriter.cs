using System.Globalization;
using Microsoft.Extensions.Logging.Abstractions;
using P2PWeights.Store.Content;
using P2PWeights.Store.Hashing;

namespace P2PWeights.Store.Tests.Crash;

/// <summary>
/// The process that <see cref="CrashTests"/> kills: <c>dotnet exec P2PWeights.Store.Tests.dll DATA ARENAS FILES SEED</c>. It adds shards to every tier for ever
/// and prints a line for each once it has been acknowledged. The assembly's one entry point: other tests' processes start here too.
/// </summary>
internal static class CrashingWriter
{
    public static async Task<int> Main(string[] args)
    {
        if (args is [References.HandleShortageTests.Mode, var dataFolder, var path])
        {
            return await References.HandleShortageTests.RunAsync(dataFolder, path);
        }

        if (args is [Adopting.KilledOwnerTests.Mode, .. var rest])
        {
            return await Adopting.KilledOwnerTests.RunAsync(rest);
        }

        if (args.Length != 4)
        {
            Console.Error.WriteLine("started by CrashTests: DATA ARENAS FILES SEED");
            return 2;
        }

        var random = new Random(int.Parse(args[3], CultureInfo.InvariantCulture));
        var options = new StoreOptions
        {
            DataDirectory = args[0],
            ArenaRoot = args[1],
            MemoryBytes = 32 << 20,
            DiskBytes = 1L << 30,
            ScrubBytesPerSecond = 0,
        };
        await using var store = await ShardStore.OpenAsync(options, TimeProvider.System, NullLoggerFactory.Instance, default);
        Console.WriteLine("open");
        for (var i = 0; ; i++)
        {
            var bytes = new byte[random.Next(1, 200_000)];
            random.NextBytes(bytes);
            var shard = new ShardInfo(Blake3.Hash(bytes), bytes.Length);
            if (i % 4 == 3)
            {
                await ReferenceAsync(store, Path.Combine(args[2], $"file{i}"), shard, bytes);
            }
            else
            {
                await store.PutAsync(shard, bytes);
            }

            Console.WriteLine($"{shard.Digest} {(int)store.Locate(shard.Digest)}");
        }
    }

    private static async Task ReferenceAsync(ShardStore store, string path, ShardInfo shard, byte[] bytes)
    {
        await File.WriteAllBytesAsync(path, bytes);
        FileIdentity identity;
        using (var file = File.OpenHandle(path))
        {
            identity = FileIdentity.Of(file);
        }

        await store.ReferenceAsync(path, identity, [new FileExtent(shard, 0)], default);
    }
}
