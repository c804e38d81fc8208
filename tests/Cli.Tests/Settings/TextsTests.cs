using P2PWeights.Cli.Settings;
using P2PWeights.Store;

namespace P2PWeights.Cli.Tests.Settings;

public sealed class TextsTests
{
    [Theory]
    [InlineData("500ms", 0.5)]
    [InlineData("2s", 2)]
    [InlineData("1.5 m", 90)]
    [InlineData("3min", 180)]
    [InlineData("2H", 7200)]
    [InlineData("0s", 0)]
    public void Duration_is_read(string text, double seconds) => Assert.Equal(seconds, Texts.ParseDuration(text).TotalSeconds);

    [Theory]
    [InlineData("")]
    [InlineData("10")]
    [InlineData("s")]
    [InlineData("-1s")]
    [InlineData("1.2.3s")]
    [InlineData("10 days")]
    [InlineData("8761h")]
    [InlineData("99999999999999999999999999999999h")]
    public void Duration_that_is_none_is_refused(string text) => Assert.Contains($"'{text}'", Assert.Throws<FormatException>(() => Texts.ParseDuration(text)).Message, StringComparison.Ordinal);

    [Theory]
    [InlineData("50MiB", 50L << 20)]
    [InlineData("50MiB/s", 50L << 20)]
    [InlineData("1GB", 1_000_000_000)]
    [InlineData("0", 0)]
    public void Rate_is_read(string text, long expected) => Assert.Equal(expected, Texts.ParseRate(text));

    [Theory]
    [InlineData("fast")]
    [InlineData("/s")]
    [InlineData("-1")]
    public void Rate_that_is_none_is_refused(string text) => Assert.Throws<FormatException>(() => Texts.ParseRate(text));

    [Theory]
    [InlineData("127.0.0.1:7400")]
    [InlineData("[::1]:0")]
    [InlineData("tracker.example:65535")]
    public void Endpoint_is_taken_as_it_stands(string text) => Assert.Equal(text, Texts.ParseEndpoint(text));

    [Theory]
    [InlineData("")]
    [InlineData("7400")]
    [InlineData(":7400")]
    [InlineData("host")]
    [InlineData("host:")]
    [InlineData("host:65536")]
    [InlineData("::1:7400:x")]
    [InlineData("a:b:1")]
    public void Endpoint_that_is_none_is_refused(string text) => Assert.Throws<FormatException>(() => Texts.ParseEndpoint(text));

    [Fact]
    public void Memory_of_GPUs_is_read() => Assert.Equal(
        [new GpuMemory("0", 8L << 30), new GpuMemory("host-1", 16 << 20)], Texts.ParseGpuMemory("0=8GiB, host-1=16MiB"));

    [Theory]
    [InlineData("")]
    [InlineData("8GiB")]
    [InlineData("0=")]
    [InlineData("0=much")]
    [InlineData("0=15MiB")]
    [InlineData("0=1025GiB")]
    [InlineData("0=1GiB,0=2GiB")]
    [InlineData("64=1GiB")]
    [InlineData("-1=1GiB")]
    [InlineData("GPU-0=1GiB")]
    [InlineData("../x=1GiB")]
    public void Memory_of_GPUs_that_is_none_is_refused(string text) =>
        Assert.NotEqual("", Assert.Throws<FormatException>(() => Texts.ParseGpuMemory(text)).Message);

    [Theory]
    [InlineData("gpu:0", "0")]
    [InlineData("gpu:host-3", "host-3")]
    public void GPU_to_pull_into_is_read(string text, string gpu) => Assert.Equal(gpu, Texts.ParseGpu(text));

    [Theory]
    [InlineData("0")]
    [InlineData("gpu:")]
    [InlineData("gpu:all")]
    [InlineData("GPU:0")]
    public void GPU_to_pull_into_that_is_none_is_refused(string text) => Assert.Contains("gpu:0", Assert.Throws<FormatException>(() => Texts.ParseGpu(text)).Message, StringComparison.Ordinal);

    [Fact]
    public void Trackers_are_a_list_and_http_may_be_left_out() =>
        Assert.Equal(["http://a:1/", "http://b:2/"], Texts.ParseTrackers("http://a:1, b:2").Select(uri => uri.ToString()));

    [Theory]
    [InlineData("")]
    [InlineData(",")]
    [InlineData("ftp://a:1")]
    [InlineData("http://")]
    public void Trackers_that_are_none_are_refused(string text) => Assert.Throws<FormatException>(() => Texts.ParseTrackers(text));

    [Fact]
    public void Pairs_are_read_in_any_order() => Assert.Equal("rack=r7,zone=z1", string.Join(',', Texts.ParsePairs("zone=z1, rack=r7").Select(pair => $"{pair.Key}={pair.Value}")));

    [Theory]
    [InlineData("zone")]
    [InlineData("=z1")]
    [InlineData("zone=1,zone=2")]
    public void Pairs_that_are_none_are_refused(string text) => Assert.Throws<FormatException>(() => Texts.ParsePairs(text));

    [Theory]
    [InlineData(107, true)]
    [InlineData(108, false)]
    public void Socket_path_ends_where_the_kernel_ends_it(int length, bool accepted)
    {
        var path = "/" + new string('s', length - 1);

        if (accepted)
            Assert.Equal(path, Texts.ParseSocket(path));
        else
            Assert.Contains("107", Assert.Throws<FormatException>(() => Texts.ParseSocket(path)).Message, StringComparison.Ordinal);
    }
}
