using Microsoft.Extensions.Logging.Abstractions;
using P2PWeights.Store.Content;
using P2PWeights.Store.Folders;
using P2PWeights.Store.Hashing;
using P2PWeights.Testing;

namespace P2PWeights.Store.Tests;

/// <summary>A data folder and an arena folder for one test, and stores opened in them one after the other.</summary>
internal sealed class StoreFixture : IAsyncDisposable
{
    private readonly TempFolder _folder = new();

    public StoreFixture() => Directory.CreateDirectory(ArenaRoot);

    public Seeded Seeded { get; } = new();

    public string DataFolder => _folder["data"];

    /// <summary>On the disk, not in /dev/shm: the arena behaves the same, and tests that fail leave no memory behind.</summary>
    public string ArenaRoot => _folder["shm"];

    public ShardStore Store => _store ?? throw new InvalidOperationException("open the store first");

    private ShardStore? _store;

    /// <summary>A path inside the test's folder.</summary>
    public string this[string relative] => _folder[relative];

    public static CancellationToken Deadline => new CancellationTokenSource(TimeSpan.FromSeconds(60)).Token;

    /// <param name="room">How long a shard waits for room that leases keep; a test that leases it itself would wait in vain.</param>
    public StoreOptions Options(long memory = 64 << 20, long disk = 1L << 30, TimeSpan room = default, params IReadOnlyList<GpuMemory> gpus) => new()
    {
        GpuMemory = gpus,
        DataDirectory = DataFolder,
        ArenaRoot = ArenaRoot,
        MemoryBytes = memory,
        DiskBytes = disk,
        ScrubBytesPerSecond = 0,
        RoomTimeout = room,
    };

    public async Task<ShardStore> OpenAsync(long memory = 64 << 20, long disk = 1L << 30, TimeSpan room = default, params IReadOnlyList<GpuMemory> gpus) =>
        _store = await ShardStore.OpenAsync(Options(memory, disk, room, gpus), TimeProvider.System, NullLoggerFactory.Instance, Deadline);

    public async Task CloseAsync()
    {
        if (_store is not null)
        {
            await _store.DisposeAsync();
        }

        _store = null;
    }

    public async Task<ShardStore> ReopenAsync(long memory = 64 << 20, long disk = 1L << 30, params IReadOnlyList<GpuMemory> gpus)
    {
        await CloseAsync();
        return await OpenAsync(memory, disk, gpus: gpus);
    }

    /// <summary>Random bytes and the shard that they are.</summary>
    public (ShardInfo Shard, byte[] Bytes) NewShard(int size)
    {
        byte[] bytes;
        lock (Seeded)
        {
            bytes = Seeded.Bytes(size);
        }

        return (new ShardInfo(Blake3.Hash(bytes), size), bytes);
    }

    public async ValueTask DisposeAsync()
    {
        await CloseAsync();
        _folder.Dispose();
    }
}

internal static class StoreTestExtensions
{
    /// <summary>Writes a shard in one go.</summary>
    public static async Task PutAsync(this ShardStore store, ShardInfo shard, byte[] bytes, ShardTarget target = default)
    {
        using var write = await store.BeginWriteAsync(shard, target, StoreFixture.Deadline);
        bytes.CopyTo(write.Buffer);
        await write.CommitAsync(StoreFixture.Deadline);
    }

    /// <summary>The bytes of a shard, through a lease; null when there is no good replica.</summary>
    public static async Task<byte[]?> GetAsync(this ShardStore store, Digest digest)
    {
        using var lease = await store.LeaseAsync(digest, StoreFixture.Deadline);
        if (lease is null)
        {
            return null;
        }

        var bytes = new byte[lease.Value.Shard.Size];
        await lease.Value.ReadAsync(bytes, StoreFixture.Deadline);
        return bytes;
    }
}
