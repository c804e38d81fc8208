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
    public void What_is_no_text_is_shown_as_far_as_it_is() => Assert.Equal("a\uFFFD\\u0004b", EngineText.Clean([(byte)'a', 0xFF, 4, (byte)'b']));

    [Fact]
    public void Of_a_pickled_exception_the_names_and_texts_are_shown()
    {
        // pickle.dumps(ValueError("no loader for it")) of Python 3.11.
        byte[] pickled =
        [
            0x80, 4, 0x95, 0x32, 0, 0, 0, 0, 0, 0, 0, 0x8C, 8, .. "builtins"u8, 0x94, 0x8C, 10, .. "ValueError"u8, 0x94, 0x93, 0x94, 0x8C, 0x10, .. "no loader for it"u8, 0x94, 0x85, 0x94, .. "R"u8, 0x94, (byte)'.',
        ];

        Assert.Equal("builtins ValueError no loader for it", EngineText.Clean(pickled));
        Assert.Equal("cos system [31m", EngineText.Clean([0x80, 4, .. "cos\nsystem\n\u001b[31m\u202e"u8]));
    }

    [Fact]
    public void Of_a_long_text_the_end_is_shown()
    {
        var shown = EngineText.Clean(Encoding.UTF8.GetBytes(new string('x', 1 << 20) + "\nValueError: last"));
        Assert.True(shown.Length < EngineText.MaxChars + 16);
        Assert.Equal("ValueError: last", EngineText.LastLine(shown));
    }
}
