using P2PWeights.Store.Content;
using P2PWeights.Store.Hashing;

namespace P2PWeights.Bench.Paths;

/// <summary>The shards that the reads of one path are about: made from their number alone, so that two processes have the same.</summary>
internal static class BenchShards
{
    public const int Count = 4;
    public const int Bytes = 16 << 20;

    /// <summary>One more, small, with the number <see cref="Count"/>: to have all code run often in little time.</summary>
    public const int SmallBytes = 64 << 10;

    /// <summary>Writes one.</summary>
    public static void Fill(int number, Span<byte> target) => new Random(number).NextBytes(target);

    /// <summary>What all are called, the small one last.</summary>
    public static IReadOnlyList<ShardInfo> Describe()
    {
        var bytes = new byte[Bytes];
        var shards = new List<ShardInfo>(Count + 1);
        for (var number = 0; number <= Count; number++)
        {
            var shard = bytes.AsSpan(0, number < Count ? Bytes : SmallBytes);
            Fill(number, shard);
            shards.Add(new ShardInfo(Blake3.Hash(shard), shard.Length));
        }

        return shards;
    }
}
