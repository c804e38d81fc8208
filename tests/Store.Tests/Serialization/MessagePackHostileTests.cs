using System.Buffers;
using P2PWeights.Store.Serialization;
using P2PWeights.Testing;

namespace P2PWeights.Store.Tests.Serialization;

public sealed class MessagePackHostileTests
{
    [Fact]
    public void Value_cut_short_at_any_byte_is_refused()
    {
        var output = new ArrayBufferWriter<byte>();
        var writer = new MessagePackWriter(output);
        writer.WriteArrayHeader(8);
        writer.Write(1.5);
        writer.Write(1.5f);
        writer.Write(ulong.MaxValue);
        writer.Write(new string('x', 300));
        writer.Write(new byte[300]);
        writer.WriteMapHeader(1);
        writer.Write("key");
        writer.WriteNil();
        writer.WriteRaw([0xc7, 0x03, 0x01, 1, 2, 3]); // ext 8
        writer.Write(-40000);
        writer.Flush();
        var whole = output.WrittenSpan.ToArray();

        var complete = new MessagePackReader(whole);
        complete.Skip();
        Assert.True(complete.End);
        for (var length = 0; length < whole.Length; length++)
        {
            Assert.Throws<MessagePackSerializationException>(() => new MessagePackReader(whole.AsMemory(0, length)).Skip());
        }
    }

    [Theory]
    [InlineData("dbffffffff")] // str 32 of 4 GiB
    [InlineData("db7fffffff")]
    [InlineData("daffff")]
    [InlineData("d9ff")]
    [InlineData("bf")]
    public void Text_longer_than_the_bytes_left_is_refused_before_memory_is_taken(string hex) =>
        Refused(hex, bytes => new MessagePackReader(bytes).ReadString());

    [Theory]
    [InlineData("c6ffffffff")]
    [InlineData("c67fffffff")]
    [InlineData("c5ffff")]
    [InlineData("c4ff")]
    public void Binary_longer_than_the_bytes_left_is_refused_before_memory_is_taken(string hex) =>
        Refused(hex, bytes => new MessagePackReader(bytes).ReadBytes());

    [Theory]
    [InlineData("ddffffffff")]
    [InlineData("dd7fffffff")]
    [InlineData("dd0000000401 0203")]
    [InlineData("dcffff")]
    [InlineData("9f00")]
    public void Array_of_more_elements_than_bytes_left_is_refused(string hex) =>
        Refused(hex, bytes => new MessagePackReader(bytes).ReadArrayHeader());

    [Theory]
    [InlineData("dfffffffff")]
    [InlineData("df80000000")]
    [InlineData("8200 0001")] // two pairs need four bytes
    [InlineData("deffff")]
    public void Map_of_more_pairs_than_bytes_left_is_refused(string hex) =>
        Refused(hex, bytes => new MessagePackReader(bytes).ReadMapHeader());

    [Fact]
    public void Limits_hold_even_when_the_bytes_are_there()
    {
        var limits = new MessagePackLimits { MaxBytes = 10, MaxElements = 3, MaxDepth = 2 };
        Assert.Equal("0123456789", new MessagePackReader((byte[])[0xaa, .. "0123456789"u8], limits).ReadString());
        Assert.Throws<MessagePackSerializationException>(() => new MessagePackReader((byte[])[0xab, .. "01234567890"u8], limits).ReadString());
        Assert.Throws<MessagePackSerializationException>(() => new MessagePackReader(Convert.FromHexString("c40b0000000000000000000000"), limits).ReadBytes());
        Assert.Equal(3, new MessagePackReader(Convert.FromHexString("93000000"), limits).ReadArrayHeader());
        Assert.Throws<MessagePackSerializationException>(() => new MessagePackReader(Convert.FromHexString("9400000000"), limits).ReadArrayHeader());
        new MessagePackReader(Convert.FromHexString("919100"), limits).Skip();
        Assert.Throws<MessagePackSerializationException>(() => new MessagePackReader(Convert.FromHexString("91919100"), limits).Skip());
    }

    [Theory]
    [InlineData(0x91)] // arrays in arrays
    [InlineData(0x81)] // maps as keys of maps
    public void Depth_bomb_is_refused(byte code)
    {
        var bomb = new byte[1_000_000];
        Array.Fill(bomb, code);
        var e = Assert.Throws<MessagePackSerializationException>(() => new MessagePackReader(bomb).Skip());
        Assert.Contains("nested", e.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("a1ff")] // never in UTF-8
    [InlineData("a2c080")] // NUL in two bytes
    [InlineData("a3eda080")] // half a surrogate pair
    [InlineData("a4f4908080")] // beyond U+10FFFF
    [InlineData("a2e282")] // cut off
    public void Text_that_is_not_UTF8_is_refused(string hex)
    {
        var e = Refused(hex, bytes => new MessagePackReader(bytes).ReadString());
        Assert.Contains("UTF-8", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Byte_that_starts_no_value_is_refused()
    {
        Assert.Equal(MessagePackType.Unknown, new MessagePackReader(new byte[] { 0xc1 }).NextMessagePackType);
        Refused("c1", bytes => new MessagePackReader(bytes).Skip());
        Refused("91c1", bytes => new MessagePackReader(bytes).Skip());
    }

    [Fact]
    public void Random_bytes_are_read_or_refused_and_nothing_else()
    {
        var seeded = new Seeded();
        for (var i = 0; i < 20_000; i++)
        {
            var bytes = seeded.Bytes(seeded.Random.Next(40));
            var reader = new MessagePackReader(bytes);
            try
            {
                while (!reader.End)
                {
                    reader.Skip();
                }
            }
            catch (MessagePackSerializationException)
            {
                Assert.True(reader.Consumed <= bytes.Length, seeded.ToString());
            }
        }
    }

    private static MessagePackSerializationException Refused(string hex, Action<byte[]> read)
    {
        var bytes = Convert.FromHexString(hex.Replace(" ", "", StringComparison.Ordinal));
        var before = GC.GetAllocatedBytesForCurrentThread();
        var e = Assert.Throws<MessagePackSerializationException>(() => read(bytes));
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 1 << 20);
        return e;
    }
}
