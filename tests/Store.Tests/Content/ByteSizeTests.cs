using P2PWeights.Store.Content;

namespace P2PWeights.Store.Tests.Content;

public sealed class ByteSizeTests
{
    [Theory]
    [InlineData("0", 0)]
    [InlineData("4096", 4096)]
    [InlineData("17B", 17)]
    [InlineData("1KiB", 1024)]
    [InlineData("512MiB", 512L << 20)]
    [InlineData("2GiB", 2L << 30)]
    [InlineData("2gib", 2L << 30)]
    [InlineData(" 1.5 GiB ", 3L << 29)]
    [InlineData("1.5GB", 1_500_000_000)]
    [InlineData("1 kB", 1000)]
    [InlineData("0.5B", 0)]
    [InlineData("1TiB", 1L << 40)]
    [InlineData("3TB", 3_000_000_000_000)]
    [InlineData("8191PiB", 8191L << 50)]
    [InlineData("9223372036854775807", long.MaxValue)]
    public void Size_is_read(string text, long bytes)
    {
        Assert.True(ByteSize.TryParse(text, out var parsed));
        Assert.Equal(bytes, parsed);
        Assert.Equal(bytes, ByteSize.Parse(text));
    }

    [Theory]
    [InlineData("")]
    [InlineData(" ")]
    [InlineData("MiB")]
    [InlineData("-1")]
    [InlineData("+1")]
    [InlineData("1e3")]
    [InlineData("1,5GiB")]
    [InlineData("1..5")]
    [InlineData(".")]
    [InlineData("1 2")]
    [InlineData("1GiBB")]
    [InlineData("1G")]
    [InlineData("NaN")]
    [InlineData("9223372036854775808")]
    [InlineData("8192PiB")]
    [InlineData("99999999999999999999999999999999999999")]
    public void Anything_else_is_refused(string text)
    {
        Assert.False(ByteSize.TryParse(text, out var parsed));
        Assert.Equal(0, parsed);
        Assert.Contains("512MiB", Assert.Throws<FormatException>(() => ByteSize.Parse(text)).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0, "0 B")]
    [InlineData(17, "17 B")]
    [InlineData(1023, "1023 B")]
    [InlineData(1024, "1 KiB")]
    [InlineData(1500, "1.46 KiB")]
    [InlineData(512L << 20, "512 MiB")]
    [InlineData((1L << 30) - 1, "1 GiB")]
    [InlineData(1L << 30, "1 GiB")]
    [InlineData(15_032_385_536, "14 GiB")]
    [InlineData(15_139_759_718, "14.1 GiB")]
    [InlineData(700_000_000_000, "652 GiB")]
    [InlineData(long.MaxValue, "8 EiB")]
    [InlineData(-1536, "-1.5 KiB")]
    public void Size_is_written_for_people(long bytes, string text) => Assert.Equal(text, ByteSize.Format(bytes));
}
