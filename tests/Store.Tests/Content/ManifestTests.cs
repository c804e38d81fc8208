using P2PWeights.Store.Content;
using P2PWeights.Store.Hashing;
using P2PWeights.Store.Tests.Serialization;
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
        Assert.Equal([Shard(1, 10), Shard(2, 1000), Shard(3, 1)], decoded.Shards.AsEnumerable());
        Assert.Equal(["a.json", "empty", "m/1.safetensors"], decoded.Files.Select(f => f.Path));
        Assert.Equal([10, 0, 2001], decoded.Files.Select(f => f.Size));
        Assert.Equal([[0], [], [1, 2, 1]], decoded.Files.Select(f => f.Shards.ToArray()));
        Assert.Equal(["scalar", "w"], decoded.Tensors.Select(t => t.Name));
        Assert.Equal([3L, 4], decoded.Tensors[1].Shape.AsEnumerable());
        Assert.Equal((2, 1000, 24), (decoded.Tensors[1].File, decoded.Tensors[1].Offset, decoded.Tensors[1].Length));
        Assert.Equal("FUTURE_9", decoded.Tensors[0].DType);
        Assert.Equal(["architecture", "é"], decoded.Metadata.Keys);
        Assert.Equal(10 + 2001, decoded.TotalBytes);
    }

    [Fact]
    public void Digest_is_the_hash_of_the_encoding() => Assert.Equal(Blake3.Hash(Sample().Encoded.Span), Sample().Digest);

    [Fact]
    public void Encoding_is_the_one_in_the_protocol_page()
    {
        var manifest = Manifest.Create(
            4,
            [("b", 5, [Shard(2, 4), Shard(1, 1)]), ("a", 1, [Shard(1, 1)])],
            [("b", new SafetensorsTensor("t", "U8", [2], 3, 2))],
            [new("k", "v")]);
        Assert.Equal(
            "9701" + "04"
            + "c440" + "01" + new string('0', 62) + "02" + new string('0', 62)
            + "92" + "01" + "04"
            + "92" + "93" + "a161" + "01" + "920001" + "93" + "a162" + "05" + "9401010001"
            + "91" + "96" + "a174" + "a25538" + "9102" + "01" + "03" + "02"
            + "81" + "a16b" + "a176",
            Convert.ToHexStringLower(manifest.Encoded.Span));
    }

    [Fact]
    public async Task Python_reads_a_manifest_and_writes_the_same_bytes()
    {
        var answer = await PythonMessagePack.RunAsync(
            """
            encoded = bytes.fromhex(sys.stdin.read())
            manifest = msgpack.unpackb(encoded, raw=False)
            version, limit, digests, sizes, files, tensors, metadata = manifest
            assert [path for path, size, runs in files] == sorted((path for path, size, runs in files), key=lambda path: path.encode())
            for path, size, runs in files:
                assert size == sum(sum(sizes[first:first + count]) for first, count in zip(runs[::2], runs[1::2]))
            print(len(digests) // 32, tensors[1], metadata, msgpack.packb(manifest, use_bin_type=True) == encoded)
            """,
            [Convert.ToHexStringLower(Sample().Encoded.Span)]);
        Assert.Equal(["3 ['w', 'BF16', [3, 4], 2, 1000, 24] {'architecture': 'Qwen3ForCausalLM', 'é': 'x'} True"], answer);
    }

    [Fact]
    public void Order_in_which_the_parts_are_given_does_not_matter()
    {
        var seeded = new Seeded();
        for (var i = 0; i < 20; i++)
        {
            var (files, tensors, metadata) = SampleParts();
            seeded.Random.Shuffle(files);
            seeded.Random.Shuffle(tensors);
            seeded.Random.Shuffle(metadata);
            Assert.True(Sample().Digest == Manifest.Create(MaxShardBytes, files, tensors, metadata).Digest, seeded.ToString());
        }
    }

    [Fact]
    public void Order_is_that_of_UTF8_bytes()
    {
        // U+FF5E is before U+1F600 in UTF-8 and behind it in UTF-16.
        string[] expected = ["B", "a", "é", "\uff5e", "\U0001F600", "\U0001F600a"];
        var manifest = Manifest.Create(
            MaxShardBytes,
            expected.Reverse().Select(path => (path, 0L, (IReadOnlyList<ShardInfo>)[])),
            [],
            expected.Reverse().Select(key => KeyValuePair.Create(key, "")));
        Assert.Equal(expected, manifest.Files.Select(file => file.Path));
        Assert.Equal(expected, manifest.Metadata.Keys);
        Assert.Equal(expected, expected.OrderBy(text => Convert.ToHexString(System.Text.Encoding.UTF8.GetBytes(text)), StringComparer.Ordinal));
    }

    [Fact]
    public void Shards_repeated_in_a_file_and_across_files_are_in_the_table_once()
    {
        var zeros = Enumerable.Repeat(Shard(9, 1000), 500).ToArray();
        var manifest = Manifest.Decode(Manifest.Create(MaxShardBytes, [("a", 500_000, zeros), ("b", 501_000, [Shard(8, 1000), .. zeros])], [], []).Encoded);
        Assert.Equal(2, manifest.Shards.Length);
        Assert.Equal([1, .. Enumerable.Repeat(0, 500)], manifest.Files[1].Shards.AsEnumerable());
    }

    [Fact]
    public void Large_checkpoint_has_a_manifest_of_a_few_megabytes()
    {
        var seeded = new Seeded(1);
        const int Files = 100;
        const int ShardsPerFile = 600;
        var files = Enumerable.Range(0, Files).Select(file => (
            $"model-{file:D5}-of-{Files:D5}.safetensors",
            (long)ShardsPerFile << 24,
            (IReadOnlyList<ShardInfo>)[.. Enumerable.Range(0, ShardsPerFile).Select(_ => new ShardInfo(new Digest(seeded.Bytes(32)), 1 << 24))])).ToList();
        var tensors = files.SelectMany((file, f) => Enumerable.Range(0, 1000).Select(t =>
            (file.Item1, new SafetensorsTensor($"model.layers.{f}.mlp.experts.{t}.down_proj.weight", "F8_E4M3", [7168, 2048], (long)t << 22, 7168 * 2048))));
        var manifest = Manifest.Create(1 << 24, files, tensors, []);
        Assert.InRange(manifest.Encoded.Length, 2_000_000, 11_000_000);
        Assert.Equal(manifest.Digest, Manifest.Decode(manifest.Encoded).Digest);
    }

    [Fact]
    public void Parts_that_contradict_each_other_are_refused_with_the_reason()
    {
        (string Path, long Size, IReadOnlyList<ShardInfo> Shards) a = ("a", 10, [Shard(1, 10)]);
        Refused("1 to 100000 files", []);
        Refused("..", [("../a", 10, [Shard(1, 10)])]);
        Refused("stands twice", [a, a]);
        Refused("upper and lower case", [a, ("A", 10, [Shard(1, 10)])]);
        Refused("is a file, and a folder", [a, ("a/b", 10, [Shard(1, 10)])]);
        Refused("add up to 10 bytes, the file has 11", [("a", 11, [Shard(1, 10)])]);
        Refused("add up to 0 bytes", [("a", 11, [])]);
        Refused("add up to 10 bytes", [("a", 0, [Shard(1, 10)])]);
        Refused("negative", [("a", -1, [])]);
        Refused("1 to 1000 are allowed", [("a", 0, [Shard(1, 0)])]);
        Refused("1 to 1000 are allowed", [("a", 0, [Shard(1, 5), Shard(2, -5)])]);
        Refused("1 to 1000 are allowed", [("a", 1001, [Shard(1, 1001)])]);
        Refused("10 bytes here and 9 elsewhere", [("0", 9, [Shard(1, 9)]), a]);

        Refused("not a file of the checkpoint", [a], ("b", Tensor("t", 0, 1)));
        Refused("does not lie inside", [a], ("a", Tensor("t", 5, 6)));
        Refused("does not lie inside", [a], ("a", Tensor("t", -1, 1)));
        Refused("does not lie inside", [a], ("a", new SafetensorsTensor("t", "U8", [1], 0, -1)));
        Refused("does not lie inside", [a], ("a", Tensor("t", long.MaxValue, 10)));
        Refused("does not lie inside", [a], ("a", Tensor("t", 1, long.MaxValue)));
        Refused("stands twice", [a], ("a", Tensor("t", 0, 1)), ("a", Tensor("t", 1, 1)));
        Refused("surrogate", [a], ("a", Tensor("\ud800", 0, 1)));
        Refused("at most 4096", [a], ("a", Tensor(new string('n', 4097), 0, 1)));
        Refused("at most 4096", [a], ("a", new SafetensorsTensor("t", new string('D', 4097), [1], 0, 1)));
        Refused("negative dimension", [a], ("a", new SafetensorsTensor("t", "U8", [-1], 0, 1)));
        Refused("negative dimension", [a], ("a", new SafetensorsTensor("t", "U8", [.. Enumerable.Repeat(1L, 65)], 0, 1)));

        Assert.Throws<ManifestException>(() => Manifest.Create(0, [a], [], []));
        Assert.Throws<ManifestException>(() => Manifest.Create(Manifest.LargestShardBytes + 1, [a], [], []));
        Assert.Throws<ManifestException>(() => Manifest.Create(10, [a], [], [new("k", "v"), new("k", "w")]));
        Assert.Throws<ManifestException>(() => Manifest.Create(10, [a], [], [new("k", "\udc00")]));
        Assert.Throws<ManifestException>(() => Manifest.Create(10, [a], [], [new("k", new string('v', (1 << 20) + 1))]));
        Assert.Throws<ManifestException>(() => Manifest.Create(10, [a], [], Enumerable.Range(0, 10_001).Select(i => KeyValuePair.Create($"{i}", ""))));
    }

    [Fact]
    public void Same_tensor_name_may_stand_in_two_files()
    {
        var manifest = Manifest.Create(MaxShardBytes, [("a", 10, [Shard(1, 10)]), ("b", 10, [Shard(1, 10)])], [("a", Tensor("t", 0, 1)), ("b", Tensor("t", 0, 1))], []);
        Assert.Equal([0, 1], manifest.Tensors.Select(tensor => tensor.File));
    }

    private static void Refused(
        string reason,
        (string Path, long Size, IReadOnlyList<ShardInfo> Shards)[] files,
        params (string Path, SafetensorsTensor Tensor)[] tensors)
    {
        var e = Assert.Throws<ManifestException>(() => Manifest.Create(MaxShardBytes, files, tensors, []));
        Assert.Contains(reason, e.Message, StringComparison.Ordinal);
    }

    private static SafetensorsTensor Tensor(string name, long offset, long length) => new(name, "U8", [length], offset, length);

    private static ShardInfo Shard(byte number, int size)
    {
        var bytes = new byte[Digest.Size];
        bytes[0] = number;
        return new ShardInfo(new Digest(bytes), size);
    }

    private static ((string Path, long Size, IReadOnlyList<ShardInfo> Shards)[] Files, (string Path, SafetensorsTensor Tensor)[] Tensors, KeyValuePair<string, string>[] Metadata) SampleParts() => (
        [
            ("m/1.safetensors", 2001, [Shard(2, 1000), Shard(3, 1), Shard(2, 1000)]),
            ("a.json", 10, [Shard(1, 10)]),
            ("empty", 0, []),
        ],
        [
            ("m/1.safetensors", new SafetensorsTensor("w", "BF16", [3, 4], 1000, 24)),
            ("m/1.safetensors", new SafetensorsTensor("scalar", "FUTURE_9", [], 100, 900)),
        ],
        [new("é", "x"), new("architecture", "Qwen3ForCausalLM")]);

    private static Manifest Sample()
    {
        var (files, tensors, metadata) = SampleParts();
        return Manifest.Create(MaxShardBytes, files, tensors, metadata);
    }
}
