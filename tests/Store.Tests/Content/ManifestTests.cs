using System.Collections.Immutable;
using P2PWeights.Store.Content;
using P2PWeights.Testing;

namespace P2PWeights.Store.Tests.Content;

public sealed class ManifestTests
{
    private const int MaxShardBytes = 1000;

    [Fact]
    public void Manifest_is_read_back_as_it_was_made()
    {
        var manifest = Sample();
        var decoded = Manifest.Decode(manifest.Encoded);

        Assert.Equal(manifest.Digest, decoded.Digest);
        Assert.Equal(MaxShardBytes, decoded.MaxShardBytes);
        Assert.Equal(manifest.Shards.AsEnumerable(), decoded.Shards.AsEnumerable());
        Assert.Equal(["a.json", "empty", "m/1.safetensors"], decoded.Files.Select(f => f.Path));
        Assert.Equal([[0], [], [1, 2, 1]], decoded.Files.Select(f => f.Shards.ToArray()));
        Assert.Equal(["scalar", "w"], decoded.Tensors.Select(t => t.Name));
        Assert.Equal([3L, 4], decoded.Tensors[1].Shape.AsEnumerable());
        Assert.Equal(2, decoded.Tensors[1].File);
        Assert.Equal("FUTURE_9", decoded.Tensors[0].DType);
        Assert.Equal(["architecture", "é"], decoded.Metadata.Keys);
        Assert.Equal(10 + 2001, decoded.TotalBytes);
    }

    private static ShardInfo Shard(int number, int size)
    {
        var bytes = new byte[Digest.Size];
        BitConverter.TryWriteBytes(bytes, number);
        return new ShardInfo(new Digest(bytes), size);
    }

    private static Manifest Sample() => Manifest.Create(
        MaxShardBytes,
        [
            ("m/1.safetensors", 2001, [Shard(2, 1000), Shard(3, 1), Shard(2, 1000)]),
            ("a.json", 10, [Shard(1, 10)]),
            ("empty", 0, []),
        ],
        [
            ("m/1.safetensors", new SafetensorsTensor("w", "BF16", [3, 4], 1000, 24)),
            ("m/1.safetensors", new SafetensorsTensor("scalar", "FUTURE_9", [], 100, 900)),
        ],
        new Dictionary<string, string> { ["é"] = "x", ["architecture"] = "Qwen3ForCausalLM" });
}
