using P2PWeights.Store.Content;
using P2PWeights.Store.Hashing;

namespace P2PWeights.Bench.Paths;

/// <summary>The shards that the reads of one path are about: made from their number alone, so that two processes have the same.</summary>
internal static class BenchShards
{
    public const int Count = 4;
    public const int Bytes = 16 << 20;

    /// <summary>Writes one.</summary>
    public static void Fill(int number, Span<byte> target) => new Random(number).NextBytes(target);

    /// <summary>What all are called.</summary>
    public static IReadOnlyList<ShardInfo> Describe()
    {
        var bytes = new byte[Bytes];
        var shards = new List<ShardInfo>(Count);
        for (var number = 0; number < Count; number++)
        {
            Fill(number, bytes);
            shards.Add(new ShardInfo(Blake3.Hash(bytes), Bytes));
        }

        return shards;
    }
}
