using P2PWeights.Transfer.Connections;

namespace P2PWeights.Transfer.Tests.Connections;

public sealed class EndpointTests
{
    [Theory]
    [InlineData("10.0.0.7:7501", "10.0.0.7", 7501)]
    [InlineData("node-3.cluster.example:1", "node-3.cluster.example", 1)]
    [InlineData("[fe80::1]:65535", "fe80::1", 65535)]
    public void Endpoint_is_host_and_port(string text, string host, int port)
    {
        Assert.True(Endpoint.TryParse(text, out var endpoint));
        Assert.Equal(new Endpoint(host, port), endpoint);
    }

    [Theory]
    [InlineData("")]
    [InlineData(":80")]
    [InlineData("host")]
    [InlineData("host:")]
    [InlineData("host:-1")]
    [InlineData("host:65536")]
    [InlineData("fe80::1:80")]
    [InlineData("[]:80")]
    [InlineData("two words:80")]
    public void Text_that_is_no_endpoint_is_refused(string text) => Assert.False(Endpoint.TryParse(text, out _));
}
