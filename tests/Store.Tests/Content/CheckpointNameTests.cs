using P2PWeights.Store.Content;

namespace P2PWeights.Store.Tests.Content;

public sealed class CheckpointNameTests
{
    [Theory]
    [InlineData("qwen3-8b@step-1000", "qwen3-8b", "step-1000")]
    [InlineData("deepseek-ai/DeepSeek-V3@latest", "deepseek-ai/DeepSeek-V3", "latest")]
    [InlineData("a@1", "a", "1")]
    [InlineData("a/.b/_c/-d@0.1_rc-2", "a/.b/_c/-d", "0.1_rc-2")]
    public void Name_and_version_are_read(string text, string name, string version)
    {
        Assert.True(CheckpointName.TryParse(text, out var checkpoint, out var problem), problem);
        Assert.Equal((name, version), (checkpoint.Name, checkpoint.Version));
        Assert.Equal(text, checkpoint.ToString());
        Assert.True(CheckpointName.TryParse(text, out var again, out _));
        Assert.Equal(checkpoint, again);
    }

    [Theory]
    [InlineData("", "no @")]
    [InlineData("qwen3", "no @")]
    [InlineData("@1", "name is empty")]
    [InlineData("a@", "version is empty")]
    [InlineData("a@1@2", "'@'")]
    [InlineData("a b@1", "' '")]
    [InlineData("a@1 ", "' '")]
    [InlineData("a@x/y", "'/'")]
    [InlineData("/a@1", "empty part")]
    [InlineData("a/@1", "empty part")]
    [InlineData("a//b@1", "empty part")]
    [InlineData("a/../b@1", "dots only")]
    [InlineData("a/.@1", "dots only")]
    [InlineData("a@..", "dots only")]
    [InlineData(".a@1", "start with a letter or digit")]
    [InlineData("-a@1", "start with a letter or digit")]
    [InlineData("a@-1", "start with a letter or digit")]
    [InlineData("a@_1", "start with a letter or digit")]
    [InlineData("é@1", "'é'")]
    [InlineData("a\0@1", "U+0000")]
    [InlineData("a\u001b[2J@1", "U+001B")]
    [InlineData("a@\ud83d\ude00", "U+D83D")]
    public void Anything_else_is_refused_with_the_reason(string text, string reason)
    {
        Assert.False(CheckpointName.TryParse(text, out var checkpoint, out var problem));
        Assert.Null(checkpoint);
        Assert.Contains(reason, problem, StringComparison.Ordinal);
        Assert.DoesNotContain(problem, char.IsControl);
    }

    [Fact]
    public void Lengths_are_limited()
    {
        var name = new string('n', CheckpointName.MaxNameLength);
        var version = new string('v', CheckpointName.MaxVersionLength);
        Assert.True(CheckpointName.TryParse($"{name}@{version}", out _, out _));
        Assert.False(CheckpointName.TryParse($"{name}n@{version}", out _, out var problem));
        Assert.Contains("129 characters", problem, StringComparison.Ordinal);
        Assert.False(CheckpointName.TryParse($"{name}@{version}v", out _, out problem));
        Assert.Contains("65 characters", problem, StringComparison.Ordinal);
    }
}
