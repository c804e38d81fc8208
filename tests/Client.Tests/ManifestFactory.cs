using P2PWeights.Store.Content;
using P2PWeights.Store.Hashing;

namespace P2PWeights.Client.Tests;

/// <summary>Manifests of one file, out of numbers: shard n has the digest of the byte n, and the size given.</summary>
internal static class ManifestFactory
{
    public static Manifest OfShards(int size, params byte[] shards) => Manifest.Create(
        Manifest.DefaultMaxShardBytes, [("file", (long)size * shards.Length, [.. shards.Select(number => Shard(number, size))])], [], []);

    public static ShardInfo Shard(byte number, int size) => new(Blake3.Hash([number]), size);
}
