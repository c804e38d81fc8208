using P2PWeights.Client.Engines;
using P2PWeights.Client.Updating;

namespace P2PWeights.Client.Tests.Updating;

public sealed class EngineGroupTests
{
    [Theory]
    [InlineData("python+unix:///run/a.sock", "python+unix:///run/a.sock")]
    [InlineData("python+unix:///run/a.sock", "python+unix:///run/b/../a.sock")]
    [InlineData("vllm+http://127.0.0.1:8000?gpus=0", "vllm+http://127.0.0.1:8000/?gpus=1")]
    [InlineData("vllm+http://localhost:8000", "sglang+http://LOCALHOST:8000")]
    public async Task One_engine_named_twice_is_refused_before_it_is_asked(string first, string second)
    {
        await using var farewells = new Farewells();
        var failure = await Assert.ThrowsAsync<NodeException>(() => EngineGroup.ConnectAsync(["python+unix:///run/other.sock", first, second], farewells, default));

        Assert.Equal(NodeError.Usage, failure.Error);
        Assert.Contains($"'{first}' and '{second}' are one engine", failure.Message, StringComparison.Ordinal);
    }
}
