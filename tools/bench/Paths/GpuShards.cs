using P2PWeights.Store;
using P2PWeights.Store.Content;
using P2PWeights.Store.Hashing;

namespace P2PWeights.Bench.Paths;

/// <summary>The checkpoint that goes from GPU to GPU: shards of 16 MiB that differ in their first bytes, so that two processes make the same in little time.</summary>
internal sealed class GpuShards
{
    public const int ShardBytes = 16 << 20;

    private readonly byte[] _base = new byte[ShardBytes];

    public GpuShards(long bytes)
    {
        new Random(1).NextBytes(_base);
        var shards = new ShardInfo[bytes / ShardBytes];
        Parallel.For(0, shards.Length, number =>
        {
            var shard = new byte[ShardBytes];
            Fill(number, shard);
            shards[number] = new ShardInfo(Blake3.Hash(shard), ShardBytes);
        });
        Manifest = Manifest.Create(ShardBytes, [("weights.bin", (long)shards.Length * ShardBytes, shards)], [], []);
    }

    public Manifest Manifest { get; }

    /// <summary>Writes one.</summary>
    public void Fill(int number, Span<byte> target)
    {
        _base.CopyTo(target);
        BitConverter.TryWriteBytes(target, number);
    }

    /// <summary>A store whose GPU takes all of them.</summary>
    public Task<ShardStore> OpenStoreAsync(Measuring.SharedMemoryFolder folder, string gpu, CancellationToken cancellationToken) => ShardStore.OpenAsync(
        new StoreOptions
        {
            DataDirectory = folder["data"],
            ArenaRoot = folder.Path,
            MemoryBytes = 4 * ShardBytes,
            GpuMemory = [new GpuMemory(gpu, Manifest.TotalBytes)],
            Ephemeral = true,
            ScrubBytesPerSecond = 0,
        },
        TimeProvider.System,
        Microsoft.Extensions.Logging.Abstractions.NullLoggerFactory.Instance,
        cancellationToken);
}
