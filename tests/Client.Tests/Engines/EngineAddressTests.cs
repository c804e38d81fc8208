using P2PWeights.Client.Engines;

namespace P2PWeights.Client.Tests.Engines;

public sealed class EngineAddressTests
{
    [Theory]
    [InlineData("vllm+http://127.0.0.1:8000", "Vllm http://127.0.0.1:8000/ - ")]
    [InlineData("sglang+https://host/prefix?gpus=0,GPU-b", "Sglang https://host/prefix/ - 0 GPU-b")]
    [InlineData("vllm+unix:///run/v.sock?gpus=1", "Vllm http://engine/ /run/v.sock 1")]
    [InlineData("python+unix:///run/a%20b.sock", "Python http://engine/ /run/a b.sock ")]
    [InlineData("python+http://[::1]:80/", "Python http://[::1]/ - ")]
    public void A_url_is_taken_apart(string url, string parts)
    {
        var address = EngineAddress.Parse(url);
        Assert.Equal(parts, $"{address.Kind} {address.Base} {address.Socket ?? "-"} {string.Join(' ', address.Gpus)}");
        Assert.Equal(url, address.Url);
    }

    [Theory]
    [InlineData("http://127.0.0.1:8000")]
    [InlineData("vllm")]
    [InlineData("")]
    [InlineData("lmdeploy+http://127.0.0.1")]
    [InlineData("vllm+tcp://127.0.0.1:1")]
    [InlineData("vllm+unix://host/run/v.sock")]
    [InlineData("vllm+unix:///")]
    [InlineData("vllm+http://user:word@127.0.0.1")]
    [InlineData("vllm+http://127.0.0.1?gpu=0")]
    [InlineData("vllm+http://127.0.0.1?gpus=0,,1")]
    [InlineData("python+unix:///run/x?gpus=0")]
    public void A_url_that_is_none_is_refused_and_named(string url)
    {
        var failure = Assert.Throws<NodeException>(() => EngineAddress.Parse(url));
        Assert.Equal(NodeError.Usage, failure.Error);
        Assert.StartsWith($"engine '{url}': ", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Gpus_are_all_of_the_host_or_those_named_by_index_or_uuid()
    {
        string[] Selected(string query) => [.. EngineAddress.Parse($"vllm+http://h{query}").Select(["GPU-a", "GPU-b", "GPU-c"]).Select(device => device.Id)];

        Assert.Equal(["GPU-a", "GPU-b", "GPU-c"], Selected(""));
        Assert.Equal(["GPU-c", "GPU-a"], Selected("?gpus=GPU-c,0"));
        Assert.Contains("3", Assert.Throws<NodeException>(() => Selected("?gpus=3")).Message, StringComparison.Ordinal);
        Assert.Contains("twice", Assert.Throws<NodeException>(() => Selected("?gpus=1,GPU-b")).Message, StringComparison.Ordinal);
        Assert.Throws<NodeException>(() => EngineAddress.Parse("vllm+http://h").Select([]));
    }
}
