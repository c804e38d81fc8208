using P2PWeights.Transfer.Wire;

namespace P2PWeights.Transfer.Tests.Wire;

public sealed class FrameHeaderTests
{
    private static readonly byte[] Golden = [0x50, 0x32, 0x50, 0x57, 1, 33, 0, 0, 0x78, 0x56, 0x34, 0x12, 0, 0, 0, 1];

    [Fact]
    public void Header_written_has_the_documented_bytes()
    {
        var bytes = new byte[FrameHeader.Size];
        new FrameHeader(FrameType.Data, 0x12345678, 16 << 20).Write(bytes);
        Assert.Equal(Golden, bytes);
    }

    [Fact]
    public void Header_read_back_is_equal()
    {
        Assert.True(FrameHeader.TryRead(Golden, out var header, out _));
        Assert.Equal(new FrameHeader(FrameType.Data, 0x12345678, 16 << 20), header);
    }

    [Theory]
    [InlineData(0, 0x51, "magic")]
    [InlineData(4, 2, "version 2")]
    [InlineData(5, 99, "type 99")]
    [InlineData(6, 1, "reserved")]
    [InlineData(15, 0x80, "longer")]
    [InlineData(15, 0x41, "longer")]
    public void Header_with_one_wrong_byte_is_refused_with_the_reason(int index, byte value, string reason)
    {
        var bytes = Golden.ToArray();
        bytes[index] = value;
        Assert.False(FrameHeader.TryRead(bytes, out _, out var problem));
        Assert.Contains(reason, problem, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData((byte)FrameType.Hello)]
    [InlineData((byte)FrameType.Fetch)]
    [InlineData((byte)FrameType.Have)]
    [InlineData((byte)FrameType.NotFound)]
    public void Header_of_a_control_frame_that_announces_a_shard_is_refused(byte type)
    {
        var bytes = new byte[FrameHeader.Size];
        new FrameHeader((FrameType)type, 1, 16 << 20).Write(bytes);
        Assert.False(FrameHeader.TryRead(bytes, out _, out _));
    }
}
