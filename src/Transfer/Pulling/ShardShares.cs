using System.Buffers.Binary;
using P2PWeights.Transfer.Swarms;

namespace P2PWeights.Transfer.Pulling;

/// <summary>
/// Splits the shards among nodes that pull the same manifest at the same time, without a word between them: a shard belongs to the node with the highest
/// hash of node and shard ("highest random weight": Thaler and Ravishankar, "Using Name-Based Mappings to Increase Hit Rates", 1998). Nodes that see the same
/// others agree; nodes that do not still overlap less than by chance.
/// </summary>
internal static class ShardShares
{
    /// <summary>The shards that fall to this node.</summary>
    public static ShardBitmap Of(Guid self, IReadOnlyCollection<Guid> others, int shards)
    {
        var own = new ShardBitmap(shards);
        var mine = Seed(self);
        var theirs = others.Select(Seed).ToArray();
        for (var ordinal = 0; ordinal < shards; ordinal++)
        {
            var weight = Mix(mine, ordinal);
            own[ordinal] = Array.TrueForAll(theirs, seed => Mix(seed, ordinal) <= weight);
        }

        return own;
    }

    private static ulong Seed(Guid node)
    {
        Span<byte> bytes = stackalloc byte[16];
        node.TryWriteBytes(bytes, bigEndian: true, out _);
        return BinaryPrimitives.ReadUInt64BigEndian(bytes) ^ BinaryPrimitives.ReadUInt64BigEndian(bytes[8..]);
    }

    /// <summary>SplitMix64 (Steele, Lea and Flood, 2014), the ordinal being the step.</summary>
    private static ulong Mix(ulong seed, int ordinal)
    {
        var z = seed + ((ulong)(ordinal + 1) * 0x9E3779B97F4A7C15);
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
        return z ^ (z >> 31);
    }
}
