using System.Text;
using P2PWeights.Client.Engines;

namespace P2PWeights.Client.Tests.Engines;

public sealed class EngineTextTests
{
    [Theory]
    [InlineData("Traceback:\r\n\tline\nValueError: x\n\n", "Traceback:\n\tline\nValueError: x")]
    [InlineData("\u001b[31mred\u0007", "\\u001b[31mred\\u0007")]
    [InlineData("a\u202eb\u2028c", "a\\u202eb\\u2028c")]
    [InlineData("ü 漢 😀", "ü 漢 😀")]
    public void Text_keeps_its_lines_and_loses_its_commands(string sent, string shown) => Assert.Equal(shown, EngineText.Clean(sent));

    [Fact]
    public void What_is_no_text_is_shown_as_far_as_it_is()
    {
        // A pickle that a worker of another make may send: nothing of it is executed.
        var shown = EngineText.Clean([0x80, 4, .. "cos\nsystem\n"u8, 0xFF]);
        Assert.Equal("\uFFFD\\u0004cos\nsystem\n\uFFFD", shown);
    }

    [Fact]
    public void Of_a_long_text_the_end_is_shown()
    {
        var shown = EngineText.Clean(Encoding.UTF8.GetBytes(new string('x', 1 << 20) + "\nValueError: last"));
        Assert.True(shown.Length < EngineText.MaxChars + 16);
        Assert.Equal("ValueError: last", EngineText.LastLine(shown));
    }
}
