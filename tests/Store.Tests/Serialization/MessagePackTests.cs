using System.Buffers;
using P2PWeights.Store.Serialization;
using P2PWeights.Testing;

namespace P2PWeights.Store.Tests.Serialization;

public sealed class MessagePackTests
{
    private delegate void WriteAction(ref MessagePackWriter writer);

    [Theory]
    [InlineData(0L, "00")]
    [InlineData(127L, "7f")]
    [InlineData(128L, "cc80")]
    [InlineData(255L, "ccff")]
    [InlineData(256L, "cd0100")]
    [InlineData(65535L, "cdffff")]
    [InlineData(65536L, "ce00010000")]
    [InlineData(4294967295L, "ceffffffff")]
    [InlineData(4294967296L, "cf0000000100000000")]
    [InlineData(long.MaxValue, "cf7fffffffffffffff")]
    [InlineData(-1L, "ff")]
    [InlineData(-32L, "e0")]
    [InlineData(-33L, "d0df")]
    [InlineData(-128L, "d080")]
    [InlineData(-129L, "d1ff7f")]
    [InlineData(-32768L, "d18000")]
    [InlineData(-32769L, "d2ffff7fff")]
    [InlineData(-2147483648L, "d280000000")]
    [InlineData(-2147483649L, "d3ffffffff7fffffff")]
    [InlineData(long.MinValue, "d38000000000000000")]
    public void Integer_is_written_in_its_shortest_form_and_read_back(long value, string expected)
    {
        var bytes = Written((ref MessagePackWriter w) => w.Write(value));
        Assert.Equal(expected, Convert.ToHexStringLower(bytes));
        Assert.Equal(value, new MessagePackReader(bytes).ReadInt64());
        var reader = new MessagePackReader(bytes);
        reader.Skip();
        Assert.True(reader.End);
    }

    [Fact]
    public void Largest_unsigned_integer_goes_there_and_back()
    {
        var bytes = Written((ref MessagePackWriter w) => w.Write(ulong.MaxValue));
        Assert.Equal("cfffffffffffffffff", Convert.ToHexStringLower(bytes));
        Assert.Equal(ulong.MaxValue, new MessagePackReader(bytes).ReadUInt64());
        Assert.Equal((double)ulong.MaxValue, new MessagePackReader(bytes).ReadDouble());
        Assert.Throws<MessagePackSerializationException>(() => new MessagePackReader(bytes).ReadInt64());
    }

    [Theory]
    [InlineData("d0ff", -1)] // int 8 where a fixint would do
    [InlineData("d1007f", 127)]
    [InlineData("d20000007f", 127)]
    [InlineData("d3000000000000007f", 127)]
    [InlineData("cf000000000000007f", 127)]
    [InlineData("cc01", 1)]
    public void Integer_of_a_longer_form_is_read(string hex, int value) => Assert.Equal(value, new MessagePackReader(Convert.FromHexString(hex)).ReadInt32());

    [Theory]
    [InlineData("ce80000000")]
    [InlineData("d3ffffffff7fffffff")]
    public void Integer_that_does_not_fit_is_refused(string hex)
    {
        var e = Assert.Throws<MessagePackSerializationException>(() => new MessagePackReader(Convert.FromHexString(hex)).ReadInt32());
        Assert.Contains("is not between", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Negative_integer_is_refused_as_unsigned()
    {
        Assert.Throws<MessagePackSerializationException>(() => new MessagePackReader(new byte[] { 0xff }).ReadUInt64());
        Assert.Throws<MessagePackSerializationException>(() => new MessagePackReader(new byte[] { 0xff }).ReadUInt32());
    }

    [Theory]
    [InlineData(0, "a0", "c400", "90", "80")]
    [InlineData(1, "a1", "c401", "91", "81")]
    [InlineData(15, "af", "c40f", "9f", "8f")]
    [InlineData(16, "b0", "c410", "dc0010", "de0010")]
    [InlineData(31, "bf", "c41f", "dc001f", "de001f")]
    [InlineData(32, "d920", "c420", "dc0020", "de0020")]
    [InlineData(255, "d9ff", "c4ff", "dc00ff", "de00ff")]
    [InlineData(256, "da0100", "c50100", "dc0100", "de0100")]
    [InlineData(65535, "daffff", "c5ffff", "dcffff", "deffff")]
    [InlineData(65536, "db00010000", "c600010000", "dd00010000", "df00010000")]
    public void Length_is_written_in_its_shortest_form_and_read_back(int length, string str, string bin, string array, string map)
    {
        var text = new string('x', length);
        var strBytes = Written((ref MessagePackWriter w) => w.Write(text));
        Assert.Equal(str, Convert.ToHexStringLower(strBytes.AsSpan(0, str.Length / 2)));
        Assert.Equal(text, new MessagePackReader(strBytes).ReadString());

        var data = new byte[length];
        var binBytes = Written((ref MessagePackWriter w) => w.Write(data));
        Assert.Equal(bin, Convert.ToHexStringLower(binBytes.AsSpan(0, bin.Length / 2)));
        Assert.Equal(data, new MessagePackReader(binBytes).ReadBytes()!.Value.ToArray());

        var arrayBytes = Written((ref MessagePackWriter w) =>
        {
            w.WriteArrayHeader(length);
            w.WriteRaw(data); // as many zeros
        });
        Assert.Equal(array, Convert.ToHexStringLower(arrayBytes.AsSpan(0, array.Length / 2)));
        Assert.Equal(length, new MessagePackReader(arrayBytes).ReadArrayHeader());

        var mapBytes = Written((ref MessagePackWriter w) =>
        {
            w.WriteMapHeader(length);
            w.WriteRaw(new byte[2 * length]);
        });
        Assert.Equal(map, Convert.ToHexStringLower(mapBytes.AsSpan(0, map.Length / 2)));
        Assert.Equal(length, new MessagePackReader(mapBytes).ReadMapHeader());

        foreach (var whole in new[] { strBytes, binBytes, arrayBytes, mapBytes })
        {
            var reader = new MessagePackReader(whole);
            reader.Skip();
            Assert.True(reader.End);
        }
    }

    [Fact]
    public void Nil_stands_for_null_and_only_for_null()
    {
        var bytes = Written((ref MessagePackWriter w) => w.Write((string?)null));
        Assert.Equal([0xc0], bytes);
        Assert.Null(new MessagePackReader(bytes).ReadString());
        Assert.Null(new MessagePackReader(bytes).ReadBytes());
        Assert.False(new MessagePackReader(bytes).TryReadStringSpan(out _));
        Assert.True(new MessagePackReader(bytes).TryReadNil());
        Assert.False(new MessagePackReader(new byte[] { 0x00 }).TryReadNil());
        Assert.Throws<MessagePackSerializationException>(() => new MessagePackReader(new byte[] { 0x00 }).ReadNil());
        Assert.Throws<MessagePackSerializationException>(() => new MessagePackReader(bytes).ReadArrayHeader());
    }

    [Fact]
    public void Floats_of_both_widths_and_integers_are_read_as_double()
    {
        Assert.Equal(1.5, new MessagePackReader(Written((ref MessagePackWriter w) => w.Write(1.5f))).ReadDouble());
        Assert.Equal(double.Epsilon, new MessagePackReader(Written((ref MessagePackWriter w) => w.Write(double.Epsilon))).ReadDouble());
        Assert.Equal(-7.0, new MessagePackReader(Written((ref MessagePackWriter w) => w.Write(-7))).ReadDouble());
        Assert.True(double.IsNaN(new MessagePackReader(Written((ref MessagePackWriter w) => w.Write(double.NaN))).ReadDouble()));
    }

    [Fact]
    public void Another_type_than_asked_for_is_named_in_the_error()
    {
        var e = Assert.Throws<MessagePackSerializationException>(() => new MessagePackReader(new byte[] { 0xc3 }).ReadInt32());
        Assert.Equal("MessagePack, byte 0: an integer was expected, 0xc3 (Boolean) is there", e.Message);
    }

    [Fact]
    public void Value_larger_than_the_buffers_of_the_output_is_written_whole()
    {
        var seeded = new Seeded();
        var data = seeded.Bytes(1_000_003);
        var output = new ArrayBufferWriter<byte>(16);
        var writer = new MessagePackWriter(output);
        writer.WriteArrayHeader(3);
        writer.Write(data);
        writer.Write("é");
        writer.Write(data.AsSpan(0, 300));
        writer.Flush();
        var reader = new MessagePackReader(output.WrittenMemory);
        Assert.Equal(3, reader.ReadArrayHeader());
        Assert.True(reader.ReadBytes()!.Value.FirstSpan.SequenceEqual(data), seeded.ToString());
        Assert.Equal("é", reader.ReadString());
        Assert.True(reader.ReadBytes()!.Value.FirstSpan.SequenceEqual(data.AsSpan(0, 300)), seeded.ToString());
        Assert.True(reader.End);
    }

    [Fact]
    public void Sequence_of_several_segments_is_read_like_one()
    {
        var bytes = Written((ref MessagePackWriter w) =>
        {
            w.WriteMapHeader(1);
            w.Write("key");
            w.Write(123456);
        });
        var first = new Segment(bytes.AsMemory(0, 3), 0);
        var last = first.Append(bytes.AsMemory(3));
        var reader = new MessagePackReader(new ReadOnlySequence<byte>(first, 0, last, last.Memory.Length));
        Assert.Equal(1, reader.ReadMapHeader());
        Assert.Equal("key", reader.ReadString());
        Assert.Equal(123456, reader.ReadInt32());
        Assert.True(reader.End);
        Assert.Equal(bytes.Length, reader.Consumed);
    }

    [Fact]
    public void Lone_surrogate_is_not_written()
    {
        var e = Assert.Throws<MessagePackSerializationException>(() => Written((ref MessagePackWriter w) => w.Write("a\ud800b")));
        Assert.Contains("index 1", e.Message, StringComparison.Ordinal);
    }

    private static byte[] Written(WriteAction write)
    {
        var output = new ArrayBufferWriter<byte>();
        var writer = new MessagePackWriter(output);
        write(ref writer);
        writer.Flush();
        return output.WrittenSpan.ToArray();
    }

    private sealed class Segment : ReadOnlySequenceSegment<byte>
    {
        public Segment(ReadOnlyMemory<byte> memory, long start) => (Memory, RunningIndex) = (memory, start);

        public Segment Append(ReadOnlyMemory<byte> memory)
        {
            var next = new Segment(memory, RunningIndex + Memory.Length);
            Next = next;
            return next;
        }
    }
}
