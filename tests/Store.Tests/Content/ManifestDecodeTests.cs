using System.Buffers;
using P2PWeights.Store.Content;
using P2PWeights.Store.Serialization;
using P2PWeights.Testing;

namespace P2PWeights.Store.Tests.Content;

/// <summary>Manifests from hostile places. Each is a right one with one field written wrongly.</summary>
public sealed class ManifestDecodeTests
{
    private delegate void WriteField(ref MessagePackWriter writer);

    [Fact]
    public void Manifest_written_field_by_field_is_accepted()
    {
        var manifest = Manifest.Decode(Encoded());
        Assert.Equal(["a", "b"], manifest.Files.Select(file => file.Path));
        Assert.Equal([[0], [1, 0]], manifest.Files.Select(file => file.Shards.ToArray()));
    }

    [Fact]
    public void Manifest_cut_short_at_any_byte_is_refused()
    {
        var whole = Encoded();
        for (var length = 0; length < whole.Length; length++)
        {
            Assert.Throws<ManifestException>(() => Manifest.Decode(whole.AsMemory(0, length)));
        }
    }

    [Fact]
    public void Bytes_behind_the_manifest_are_refused() =>
        Assert.Contains("bytes follow", Assert.Throws<ManifestException>(() => Manifest.Decode((byte[])[.. Encoded(), 0])).Message, StringComparison.Ordinal);

    [Fact]
    public void Manifest_with_any_byte_changed_is_refused_or_has_another_digest()
    {
        var whole = Encoded();
        var right = Manifest.Decode(whole).Digest;
        for (var i = 0; i < whole.Length; i++)
        {
            for (var value = 0; value < 256; value++)
            {
                var changed = whole.ToArray();
                changed[i] = (byte)value;
                try
                {
                    var manifest = Manifest.Decode(changed);
                    Assert.True(manifest.Encoded.Span.SequenceEqual(changed));
                    Assert.Equal(value == whole[i], manifest.Digest == right);
                }
                catch (ManifestException e)
                {
                    Assert.False(string.IsNullOrWhiteSpace(e.Message));
                }
            }
        }
    }

    [Fact]
    public void Format_of_the_future_is_refused_by_its_version() =>
        Refused("format version 2", Encoded(version: (ref MessagePackWriter w) => w.Write(2)));

    [Fact]
    public void Longer_forms_than_needed_are_refused()
    {
        Refused("canonical", Encoded(version: (ref MessagePackWriter w) => w.WriteRaw([0xcc, 1])));
        Refused("canonical", Encoded(maxShardBytes: (ref MessagePackWriter w) => w.WriteRaw([0xcd, 0, 4])));
        Refused("canonical", Encoded(metadata: (ref MessagePackWriter w) => w.WriteRaw([0xde, 0, 0])));
        Refused("canonical", Encoded(files: (ref MessagePackWriter w) =>
        {
            w.WriteArrayHeader(2);
            WriteFile(ref w, "a", 1, 0, 1);
            WriteFile(ref w, "b", 5, 1, 1, 0, 1);
        }, tensors: (ref MessagePackWriter w) => w.WriteRaw([0xdc, 0, 0])));
    }

    [Fact]
    public void Other_orders_than_the_canonical_one_are_refused()
    {
        Refused("canonical", Encoded(files: (ref MessagePackWriter w) =>
        {
            w.WriteArrayHeader(2);
            WriteFile(ref w, "b", 5, 1, 1, 0, 1);
            WriteFile(ref w, "a", 1, 0, 1);
        }, tensors: NoTensors));
        Refused("canonical", Encoded(metadata: (ref MessagePackWriter w) =>
        {
            w.WriteMapHeader(2);
            w.Write("b");
            w.Write("");
            w.Write("a");
            w.Write("");
        }));
        Refused("canonical", Encoded(tensors: (ref MessagePackWriter w) =>
        {
            w.WriteArrayHeader(2);
            WriteTensor(ref w, "late", file: 1, offset: 3, length: 2);
            WriteTensor(ref w, "early", file: 1, offset: 0, length: 2);
        }));
    }

    [Fact]
    public void Shard_table_must_be_in_the_order_of_first_use_and_used_up()
    {
        // Table swapped: file a uses ordinal 1 first.
        Refused("canonical", Encoded(
            digests: (ref MessagePackWriter w) => w.Write(Digests(2, 1)),
            sizes: (ref MessagePackWriter w) => WriteNumbers(ref w, 4, 1),
            files: (ref MessagePackWriter w) =>
            {
                w.WriteArrayHeader(2);
                WriteFile(ref w, "a", 1, 1, 1);
                WriteFile(ref w, "b", 5, 0, 2);
            }));
        Refused("canonical", Encoded(digests: (ref MessagePackWriter w) => w.Write(Digests(1, 2, 3)), sizes: (ref MessagePackWriter w) => WriteNumbers(ref w, 1, 4, 4)));

        // The same digest twice, with one size and with two.
        Refused("canonical", Encoded(
            digests: (ref MessagePackWriter w) => w.Write(Digests(1, 1)),
            sizes: (ref MessagePackWriter w) => WriteNumbers(ref w, 1, 1),
            files: (ref MessagePackWriter w) =>
            {
                w.WriteArrayHeader(1);
                WriteFile(ref w, "a", 2, 0, 2);
            },
            tensors: NoTensors));
        Refused("elsewhere", Encoded(digests: (ref MessagePackWriter w) => w.Write(Digests(1, 1))));
    }

    [Fact]
    public void Shard_table_that_contradicts_itself_is_refused()
    {
        Refused("bytes of digests", Encoded(sizes: (ref MessagePackWriter w) => WriteNumbers(ref w, 1, 4, 4)));
        Refused("bytes of digests", Encoded(digests: (ref MessagePackWriter w) => w.Write(Digests(1, 2).AsSpan(0, 63))));
        Refused("1 to 4 are allowed", Encoded(sizes: (ref MessagePackWriter w) => WriteNumbers(ref w, 0, 4)));
        Refused("1 to 4 are allowed", Encoded(sizes: (ref MessagePackWriter w) => WriteNumbers(ref w, -1, 4)));
        Refused("1 to 4 are allowed", Encoded(sizes: (ref MessagePackWriter w) => WriteNumbers(ref w, 1, 5)));
        Refused("MaxShardBytes", Encoded(maxShardBytes: (ref MessagePackWriter w) => w.Write(0)));
        Refused("MaxShardBytes", Encoded(maxShardBytes: (ref MessagePackWriter w) => w.Write(Manifest.LargestShardBytes + 1)));
        Refused("not between", Encoded(maxShardBytes: (ref MessagePackWriter w) => w.Write(1L << 40)));
    }

    [Theory]
    [InlineData(0, 3)] // behind the table
    [InlineData(2, 1)]
    [InlineData(-1, 1)]
    [InlineData(0, 0)]
    [InlineData(0, -1)]
    [InlineData(int.MaxValue, int.MaxValue)]
    [InlineData(1, int.MaxValue)]
    public void Run_outside_the_table_is_refused(int first, int count) => Refused("not in the table", Encoded(files: (ref MessagePackWriter w) =>
    {
        w.WriteArrayHeader(1);
        WriteFile(ref w, "a", 1, first, count);
    }));

    [Fact]
    public void Runs_that_could_be_one_are_refused() => Refused("canonical", Encoded(files: (ref MessagePackWriter w) =>
    {
        w.WriteArrayHeader(1);
        WriteFile(ref w, "a", 5, 0, 1, 1, 1);
    }, tensors: NoTensors));

    [Fact]
    public void Half_a_run_is_refused() => Refused("pairs", Encoded(files: (ref MessagePackWriter w) =>
    {
        w.WriteArrayHeader(1);
        WriteFile(ref w, "a", 5, 0, 2, 0);
    }));

    [Fact]
    public void Runs_that_grow_to_more_extents_than_allowed_are_refused_early()
    {
        // 1,000 shards, 5,000 times in each of 200 files: 20 KB of runs would become 10^9 extents.
        var bomb = Encoded(
            digests: (ref MessagePackWriter w) => w.Write(Digests([.. Enumerable.Range(0, 1000)])),
            sizes: (ref MessagePackWriter w) => WriteNumbers(ref w, [.. Enumerable.Repeat(1, 1000)]),
            files: (ref MessagePackWriter w) =>
            {
                w.WriteArrayHeader(200);
                for (var i = 0; i < 200; i++)
                {
                    WriteFile(ref w, $"{i:D3}", 5_000_000, [.. Enumerable.Repeat(new[] { 0, 1000 }, 5000).SelectMany(run => run)]);
                }
            });
        var before = GC.GetAllocatedBytesForCurrentThread();
        Refused("extents in all", bomb);
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 1L << 30);
    }

    [Theory]
    [InlineData("../a")]
    [InlineData("/a")]
    [InlineData("a/../b")]
    [InlineData("a\\b")]
    [InlineData("a\0")]
    [InlineData("")]
    public void Forbidden_path_is_refused(string path) => Assert.Throws<ManifestException>(() => Manifest.Decode(Encoded(files: (ref MessagePackWriter w) =>
    {
        w.WriteArrayHeader(1);
        WriteFile(ref w, path, 5, 0, 2);
    })));

    [Fact]
    public void File_whose_extents_do_not_add_up_is_refused() => Refused("add up", Encoded(files: (ref MessagePackWriter w) =>
    {
        w.WriteArrayHeader(1);
        WriteFile(ref w, "a", 6, 0, 2);
    }, tensors: NoTensors));

    [Fact]
    public void Sizes_that_overflow_are_refused()
    {
        Refused("add up", Encoded(files: (ref MessagePackWriter w) =>
        {
            w.WriteArrayHeader(1);
            WriteFile(ref w, "a", long.MaxValue, 0, 2);
        }, tensors: NoTensors));
        Refused("not between", Encoded(files: (ref MessagePackWriter w) =>
        {
            w.WriteArrayHeader(1);
            w.WriteArrayHeader(3);
            w.Write("a");
            w.Write(ulong.MaxValue);
            WriteNumbers(ref w, 0, 2);
        }));
    }

    [Theory]
    [InlineData(2, 0, 1, "file 2")]
    [InlineData(-1, 0, 1, "file -1")]
    [InlineData(1, 4, 2, "does not lie inside")]
    [InlineData(1, -1, 1, "does not lie inside")]
    [InlineData(1, long.MaxValue, long.MaxValue, "does not lie inside")]
    [InlineData(1, 5, -5, "does not lie inside")]
    public void Tensor_outside_its_file_is_refused(int file, long offset, long length, string reason) => Refused(reason, Encoded(tensors: (ref MessagePackWriter w) =>
    {
        w.WriteArrayHeader(1);
        WriteTensor(ref w, "t", file, offset, length);
    }));

    [Fact]
    public void Counts_beyond_the_bytes_left_or_the_limits_are_refused_before_memory_is_taken()
    {
        byte[][] hostile =
        [
            Encoded(tensors: (ref MessagePackWriter w) => w.WriteRaw([0xdd, 0x7f, 0xff, 0xff, 0xff])),
            Encoded(files: (ref MessagePackWriter w) => w.WriteRaw([0xdd, 0xff, 0xff, 0xff, 0xff])),
            Encoded(metadata: (ref MessagePackWriter w) => w.WriteRaw([0xdf, 0x7f, 0xff, 0xff, 0xff])),
            Encoded(digests: (ref MessagePackWriter w) => w.WriteRaw([0xc6, 0x7f, 0xff, 0xff, 0xff])),
            Encoded(sizes: (ref MessagePackWriter w) => w.WriteRaw([0xdd, 0x7f, 0xff, 0xff, 0xff])),
        ];
        foreach (var bytes in hostile)
        {
            var before = GC.GetAllocatedBytesForCurrentThread();
            Assert.Throws<ManifestException>(() => Manifest.Decode(bytes));
            Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 1 << 20);
        }

        // The bytes are there, the limit is not: a map of 4 million empty pairs, a million and one tensors.
        Refused("metadata entries", Encoded(metadata: (ref MessagePackWriter w) =>
        {
            w.WriteMapHeader(4_000_000);
            w.WriteRaw(new byte[8_000_000]);
        }));
        Refused("tensors", Encoded(tensors: (ref MessagePackWriter w) =>
        {
            w.WriteArrayHeader(Manifest.MaxTensors + 1);
            w.WriteRaw(new byte[Manifest.MaxTensors + 1]);
        }));
        Refused("files", Encoded(files: (ref MessagePackWriter w) =>
        {
            w.WriteArrayHeader(Manifest.MaxFiles + 1);
            w.WriteRaw(new byte[Manifest.MaxFiles + 1]);
        }));
        Refused("at most", new byte[Manifest.MaxEncodedBytes + 1]);
    }

    [Fact]
    public void Random_bytes_are_refused_and_nothing_else()
    {
        var seeded = new Seeded();
        for (var i = 0; i < 5_000; i++)
        {
            var bytes = seeded.Bytes(seeded.Random.Next(200));
            if (bytes.Length > 0)
            {
                bytes[0] = 0x97;
            }

            Assert.Throws<ManifestException>(() => Manifest.Decode(bytes));
        }
    }

    private static void Refused(string reason, byte[] encoded) =>
        Assert.Contains(reason, Assert.Throws<ManifestException>(() => Manifest.Decode(encoded)).Message, StringComparison.Ordinal);

    /// <summary>Shards 1 (1 byte) and 2 (4 bytes); file a is shard 1, file b is shards 2 and 1, with one tensor of two bytes; a field can be replaced.</summary>
    private static byte[] Encoded(
        WriteField? version = null,
        WriteField? maxShardBytes = null,
        WriteField? digests = null,
        WriteField? sizes = null,
        WriteField? files = null,
        WriteField? tensors = null,
        WriteField? metadata = null)
    {
        WriteField[] fields =
        [
            version ?? ((ref MessagePackWriter w) => w.Write(1)),
            maxShardBytes ?? ((ref MessagePackWriter w) => w.Write(4)),
            digests ?? ((ref MessagePackWriter w) => w.Write(Digests(1, 2))),
            sizes ?? ((ref MessagePackWriter w) => WriteNumbers(ref w, 1, 4)),
            files ?? ((ref MessagePackWriter w) =>
            {
                w.WriteArrayHeader(2);
                WriteFile(ref w, "a", 1, 0, 1);
                WriteFile(ref w, "b", 5, 1, 1, 0, 1);
            }),
            tensors ?? ((ref MessagePackWriter w) =>
            {
                w.WriteArrayHeader(1);
                WriteTensor(ref w, "t", file: 1, offset: 3, length: 2);
            }),
            metadata ?? ((ref MessagePackWriter w) => w.WriteMapHeader(0)),
        ];
        var output = new ArrayBufferWriter<byte>();
        var writer = new MessagePackWriter(output);
        writer.WriteArrayHeader(fields.Length);
        foreach (var field in fields)
        {
            field(ref writer);
        }

        writer.Flush();
        return output.WrittenSpan.ToArray();
    }

    private static void NoTensors(ref MessagePackWriter writer) => writer.WriteArrayHeader(0);

    private static byte[] Digests(params int[] numbers)
    {
        var bytes = new byte[numbers.Length * Digest.Size];
        for (var i = 0; i < numbers.Length; i++)
        {
            BitConverter.TryWriteBytes(bytes.AsSpan(i * Digest.Size), numbers[i]);
        }

        return bytes;
    }

    private static void WriteNumbers(ref MessagePackWriter writer, params int[] numbers)
    {
        writer.WriteArrayHeader(numbers.Length);
        foreach (var number in numbers)
        {
            writer.Write(number);
        }
    }

    private static void WriteFile(ref MessagePackWriter writer, string path, long size, params int[] runs)
    {
        writer.WriteArrayHeader(3);
        writer.Write(path);
        writer.Write(size);
        WriteNumbers(ref writer, runs);
    }

    private static void WriteTensor(ref MessagePackWriter writer, string name, int file, long offset, long length)
    {
        writer.WriteArrayHeader(6);
        writer.Write(name);
        writer.Write("U8");
        WriteNumbers(ref writer, 2);
        writer.Write(file);
        writer.Write(offset);
        writer.Write(length);
    }
}
