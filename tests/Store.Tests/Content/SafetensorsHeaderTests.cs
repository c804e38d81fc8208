using System.Buffers.Binary;
using System.Text;
using P2PWeights.Store.Content;
using P2PWeights.Testing;

namespace P2PWeights.Store.Tests.Content;

public sealed class SafetensorsHeaderTests
{
    /// <summary>Every dtype of the format with the bits of an element.</summary>
    public static TheoryData<string, int> DTypes { get; } = new()
    {
        { "BOOL", 8 }, { "U8", 8 }, { "I8", 8 }, { "F8_E5M2", 8 }, { "F8_E4M3", 8 }, { "F8_E8M0", 8 }, { "F8_E4M3FNUZ", 8 }, { "F8_E5M2FNUZ", 8 },
        { "I16", 16 }, { "U16", 16 }, { "F16", 16 }, { "BF16", 16 }, { "I32", 32 }, { "U32", 32 }, { "F32", 32 },
        { "I64", 64 }, { "U64", 64 }, { "F64", 64 }, { "C64", 64 }, { "F4", 4 }, { "F6_E2M3", 6 }, { "F6_E3M2", 6 },
    };

    /// <summary>JSON, bytes of data, and a part of the reason for which it is refused.</summary>
    public static TheoryData<string, int, string> Malformed { get; } = new()
    {
        { "", 0, "does not start with {" },
        { "[]", 0, "does not start with {" },
        { """ {"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}""", 1, "does not start with {" },
        { "null", 0, "does not start with {" },
        { "{", 0, "not valid JSON" },
        { "{]", 0, "not valid JSON" },
        { """{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},}""", 1, "not valid JSON" },
        { """{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}""", 1, "not valid JSON" },
        { """{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}} x""", 1, "not valid JSON" },
        { """{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}{}""", 1, "not valid JSON" },
        { "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}\0\0", 1, "not valid JSON" },
        { """{/* comment */}""", 0, "not valid JSON" },
        { """{"a":1}""", 0, "a map belongs there" },
        { """{"a":null}""", 0, "a map belongs there" },
        { """{"a":[]}""", 0, "a map belongs there" },
        { """{"a":{}}""", 0, "dtype is missing" },
        { """{"a":{"dtype":"U8","data_offsets":[0,1]}}""", 1, "shape is missing" },
        { """{"a":{"dtype":"U8","shape":[1]}}""", 1, "data_offsets is missing" },
        { """{"a":{"dtype":8,"shape":[1],"data_offsets":[0,1]}}""", 1, "a string belongs there" },
        { """{"a":{"dtype":"U8","shape":1,"data_offsets":[0,1]}}""", 1, "an array belongs there" },
        { """{"a":{"dtype":"U8","shape":["1"],"data_offsets":[0,1]}}""", 1, "whole numbers" },
        { """{"a":{"dtype":"U8","shape":[1.0],"data_offsets":[0,1]}}""", 1, "whole numbers" },
        { """{"a":{"dtype":"U8","shape":[1e0],"data_offsets":[0,1]}}""", 1, "whole numbers" },
        { """{"a":{"dtype":"U8","shape":[-1],"data_offsets":[0,1]}}""", 1, "whole numbers" },
        { """{"a":{"dtype":"U8","shape":[9223372036854775808],"data_offsets":[0,1]}}""", 1, "whole numbers" },
        { """{"a":{"dtype":"U8","shape":[[1]],"data_offsets":[0,1]}}""", 1, "whole numbers" },
        { """{"a":{"dtype":"U8","shape":[1],"data_offsets":[-1,0]}}""", 1, "whole numbers" },
        { """{"a":{"dtype":"U8","shape":[1],"data_offsets":[0]}}""", 1, "[begin, end]" },
        { """{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1,2]}}""", 1, "more than 2 numbers" },
        { """{"a":{"dtype":"U8","shape":[1],"data_offsets":[1,0]}}""", 1, "begin <= end" },
        { """{"a":{"dtype":"U8","shape":[9223372036854775807],"data_offsets":[0,9223372036854775807]}}""", 1, "beyond what a file can hold" },
        { """{"a":{"dtype":"X9","shape":[9223372036854775807],"data_offsets":[0,9223372036854775000]}}""", 1, "truncated" },
        { """{"a":{"dtype":"U8","shape":[4294967296,4294967296],"data_offsets":[0,1]}}""", 1, "more elements than" },
        { """{"a":{"dtype":"X9","shape":[4294967296,4294967296],"data_offsets":[0,1]}}""", 1, "more elements than" },
        { """{"a":{"dtype":"F64","shape":[2305843009213693952],"data_offsets":[0,1]}}""", 1, "bits" },
        { """{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,1]}}""", 1, "bits" },
        { """{"a":{"dtype":"F32","shape":[],"data_offsets":[0,2]}}""", 2, "bits" },
        { """{"a":{"dtype":"F4","shape":[3],"data_offsets":[0,2]}}""", 2, "bits" },
        { """{"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}""", 2, "leaving a gap" },
        { """{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"U8","shape":[1],"data_offsets":[2,3]}}""", 3, "leaving a gap" },
        { """{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}""", 3, "overlapping" },
        { """{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}""", 2, "overlapping" },
        { """{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}""", 0, "truncated" },
        { """{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}""", 2, "belongs to no tensor" },
        { "{}", 1, "belongs to no tensor" },
        { """{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}""", 0, "'a' stands twice" },
        { """{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"\u0061":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}""", 0, "'a' stands twice" },
        { """{"a":{"dtype":"U8","dtype":"U8","shape":[0],"data_offsets":[0,0]}}""", 0, "dtype stands twice" },
        { """{"a":{"dtype":"U8","shape":[0],"shape":[0],"data_offsets":[0,0]}}""", 0, "shape stands twice" },
        { """{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0],"data_offsets":[0,0]}}""", 0, "data_offsets stands twice" },
        { """{"__metadata__":{},"__metadata__":{}}""", 0, "'__metadata__' stands twice" },
        { """{"__metadata__":{"k":"v","k":"w"}}""", 0, "'k' stands twice" },
        { """{"__metadata__":{"k":1}}""", 0, "a string belongs there" },
        { """{"__metadata__":{"k":null}}""", 0, "a string belongs there" },
        { """{"__metadata__":{"k":{"x":"y"}}}""", 0, "a string belongs there" },
        { """{"__metadata__":[]}""", 0, "a map belongs there" },
        { """{"__metadata__":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}""", 1, "a string belongs there" },
        { """{"\ud800":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}""", 0, "surrogate" },
        { """{"__metadata__":{"k":"\udc00"}}""", 0, "surrogate" },
        { $$$"""{"a":{"dtype":"U8","shape":[{{{string.Join(',', Enumerable.Repeat(1, 65))}}}],"data_offsets":[0,1]}}""", 1, "more than 64 numbers" },
        { $$$"""{"a":{"x":{{{new string('[', 100)}}}{{{new string(']', 100)}}}}}""", 0, "not valid JSON" },
    };

    [Fact]
    public void File_is_read_with_its_tensors_in_the_order_of_their_offsets()
    {
        var file = new SafetensorsBuilder()
            .AddMetadata("format", "pt")
            .Add("b", "BF16", [2, 3], new byte[12])
            .Add("empty", "F32", [0, 7], [])
            .Add("a", "F32", [], new byte[4])
            .Add("ünïcödé \"quoted\"", "U8", [5], new byte[5])
            .Build();
        var header = Read(file);

        Assert.Equal(0, header.DataOffset % 8);
        Assert.Equal(["b", "empty", "a", "ünïcödé \"quoted\""], header.Tensors.Select(tensor => tensor.Name));
        Assert.Equal([0, 12, 12, 16], header.Tensors.Select(tensor => tensor.Offset - header.DataOffset));
        Assert.Equal([12, 0, 4, 5], header.Tensors.Select(tensor => tensor.Length));
        Assert.Equal([2L, 3], header.Tensors[0].Shape.AsEnumerable());
        Assert.Empty(header.Tensors[2].Shape);
        Assert.Equal("pt", header.Metadata["format"]);
    }

    [Theory]
    [MemberData(nameof(DTypes))]
    public void Bytes_of_a_known_dtype_are_checked(string dtype, int bits)
    {
        Assert.Equal(dtype, Read(new SafetensorsBuilder().Add("t", dtype, [4, 2], new byte[bits]).Build()).Tensors[0].DType);
        foreach (var wrong in new[] { bits - 1, bits + 1 })
        {
            var e = Assert.Throws<SafetensorsException>(() => Read(new SafetensorsBuilder().Add("t", dtype, [4, 2], new byte[wrong]).Build()));
            Assert.Contains(dtype, e.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Unknown_dtype_and_unknown_fields_are_carried_through()
    {
        var tensor = Read(new SafetensorsBuilder().Add("t", "INT3_FROM_2031", [100], new byte[37]).Build()).Tensors[0];
        Assert.Equal(("INT3_FROM_2031", 37L), (tensor.DType, tensor.Length));
        const string WithField = """{"a":{"dtype":"U8","layout":{"strides":[1,[2]]},"shape":[1],"data_offsets":[0,1]}}""";
        Assert.Equal("U8", Read(SafetensorsBuilder.Build(WithField, new byte[1])).Tensors[0].DType);
    }

    [Theory]
    [InlineData("")]
    [InlineData(" ")]
    [InlineData("       ")]
    public void Spaces_behind_the_header_are_padding(string padding)
    {
        var header = Read(SafetensorsBuilder.Build("""{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}""" + padding, new byte[1]));
        Assert.Equal(header.DataOffset, header.Tensors[0].Offset);
    }

    [Fact]
    public void File_without_tensors_is_accepted() => Assert.Empty(Read(SafetensorsBuilder.Build("{}", [])).Tensors);

    [Theory]
    [MemberData(nameof(Malformed))]
    public void Malformed_header_is_refused_with_the_reason(string json, int dataBytes, string reason)
    {
        var e = Assert.Throws<SafetensorsException>(() => Read(SafetensorsBuilder.Build(json, new byte[dataBytes])));
        Assert.Contains(reason, e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Header_that_is_not_UTF8_is_refused()
    {
        var file = new SafetensorsBuilder().Add("x", "U8", [0], []).Build();
        file[Array.IndexOf(file, (byte)'x')] = 0xff;
        Assert.Contains("UTF-8", Assert.Throws<SafetensorsException>(() => Read(file)).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(7)]
    public void File_shorter_than_the_length_is_refused(int bytes) =>
        Assert.Contains("fewer than the 8", Assert.Throws<SafetensorsException>(() => Read(new byte[bytes])).Message, StringComparison.Ordinal);

    [Theory]
    [InlineData(100UL, "past the end")]
    [InlineData(100_000_000UL, "past the end")]
    [InlineData(100_000_001UL, "not allowed")]
    [InlineData(1UL << 63, "not allowed")]
    [InlineData(ulong.MaxValue, "not allowed")]
    public void Length_that_lies_is_refused_before_memory_is_taken(ulong length, string reason)
    {
        var file = new byte[100];
        BinaryPrimitives.WriteUInt64LittleEndian(file, length);
        file[8] = (byte)'{';
        using var folder = new TempFolder();
        File.WriteAllBytes(folder["f"], file);
        using var handle = File.OpenHandle(folder["f"]);
        var before = GC.GetAllocatedBytesForCurrentThread();
        var e = Assert.Throws<SafetensorsException>(() => SafetensorsHeader.Read(handle, file.Length));
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 1 << 20);
        Assert.Contains(reason, e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Hundred_megabytes_of_junk_are_refused()
    {
        using var folder = new TempFolder();
        using (var handle = File.OpenHandle(folder["f"], FileMode.CreateNew, FileAccess.ReadWrite))
        {
            var length = new byte[8];
            BinaryPrimitives.WriteInt64LittleEndian(length, SafetensorsHeader.MaxHeaderBytes);
            RandomAccess.SetLength(handle, 8 + SafetensorsHeader.MaxHeaderBytes);
            RandomAccess.Write(handle, length, 0);
            Assert.Throws<SafetensorsException>(() => SafetensorsHeader.Read(handle, 8 + SafetensorsHeader.MaxHeaderBytes)); // zeros
            RandomAccess.Write(handle, "{\"a\":{\"dtype\":\""u8, 8);
            Assert.Throws<SafetensorsException>(() => SafetensorsHeader.Read(handle, 8 + SafetensorsHeader.MaxHeaderBytes)); // a string without end
        }
    }

    [Fact]
    public void File_that_shrinks_while_it_is_read_is_refused()
    {
        using var folder = new TempFolder();
        var file = new SafetensorsBuilder().Add("t", "U8", [8], new byte[8]).Build();
        File.WriteAllBytes(folder["f"], file.AsSpan(0, 20));
        using var handle = File.OpenHandle(folder["f"]);
        Assert.Contains("being changed", Assert.Throws<SafetensorsException>(() => SafetensorsHeader.Read(handle, file.Length)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Reason_has_no_control_characters_and_fits_a_line()
    {
        var name = "\u001b[2J" + new string('n', 100_000);
        var json = $$"""{"{{name.Replace("\u001b", "\\u001b", StringComparison.Ordinal)}}":1}""";
        var e = Assert.Throws<SafetensorsException>(() => Read(SafetensorsBuilder.Build(json, [])));
        Assert.InRange(e.Message.Length, 1, 300);
        Assert.DoesNotContain('\u001b', e.Message);
    }

    [Fact]
    public void Header_with_any_byte_changed_is_read_or_refused_and_nothing_else()
    {
        var seeded = new Seeded();
        var file = new SafetensorsBuilder().AddMetadata("format", "pt").Add("a.weight", "BF16", [2, 2], new byte[8]).Add("b", "F32", [1], new byte[4]).Build();
        for (var i = 0; i < 20_000; i++)
        {
            var mutated = file.ToArray();
            for (var changes = seeded.Random.Next(1, 4); changes > 0; changes--)
            {
                mutated[seeded.Random.Next(8, file.Length)] = (byte)seeded.Random.Next(256);
            }

            try
            {
                var header = SafetensorsHeader.Parse(mutated.AsMemory(8, file.Length - 8 - 12), mutated.Length);
                Assert.Equal(12, header.Tensors.Sum(tensor => tensor.Length));
            }
            catch (SafetensorsException e)
            {
                Assert.False(string.IsNullOrWhiteSpace(e.Message), seeded.ToString());
            }
        }
    }

    private static SafetensorsHeader Read(byte[] file)
    {
        using var folder = new TempFolder();
        File.WriteAllBytes(folder["f"], file);
        using var handle = File.OpenHandle(folder["f"]);
        return SafetensorsHeader.Read(handle, file.Length);
    }
}
