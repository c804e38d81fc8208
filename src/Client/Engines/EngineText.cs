using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace P2PWeights.Client.Engines;

/// <summary>Text that an engine sent, for people: it is whatever the engine's code made of it, so nothing in it may reach a terminal as a command.</summary>
internal static partial class EngineText
{
    /// <summary>The opcode PROTO, which begins every pickle from protocol 2 on (PEP 307).</summary>
    private const byte PickleProtocol = 0x80;

    /// <summary>Longest text that is shown. A traceback's end says the most, so the beginning is what goes.</summary>
    public const int MaxChars = 16 * 1024;

    /// <summary>
    /// The text with everything but line ends, tabs and printable characters escaped; the end of it, when it is too long. Of a pickle, which no UTF-8 begins like and as which early versions of
    /// checkpoint-engine send exceptions, the names and texts in it: it is never loaded.
    /// </summary>
    public static string Clean(ReadOnlySpan<byte> utf8) =>
        utf8 is [PickleProtocol, ..] ? Clean(string.Join(' ', Words.Matches(Encoding.UTF8.GetString(utf8)).Select(word => word.Value))) : Clean(Encoding.UTF8.GetString(utf8));

    /// <inheritdoc cref="Clean(ReadOnlySpan{byte})"/>
    public static string Clean(string text)
    {
        var shown = new StringBuilder(Math.Min(text.Length, MaxChars) + 16);
        if (text.Length > MaxChars)
        {
            shown.Append("[…] ");
        }

        foreach (var rune in text.AsSpan(Math.Max(0, text.Length - MaxChars)).TrimEnd().EnumerateRunes())
        {
            if (rune.Value is '\n' or '\t' || !(Rune.IsControl(rune) || Rune.GetUnicodeCategory(rune) is UnicodeCategory.Format or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator))
            {
                shown.Append(rune.ToString());
            }
            else if (rune.Value != '\r')
            {
                shown.Append(CultureInfo.InvariantCulture, $"\\u{rune.Value:x4}");
            }
        }

        return shown.ToString();
    }

    /// <summary>Runs of what is no control character and decodes.</summary>
    [GeneratedRegex(@"[^\p{C}\uFFFD]{3,}")]
    private static partial Regex Words { get; }

    /// <summary>The last line that says something: of a Python traceback, the exception.</summary>
    public static string LastLine(string text) => text.TrimEnd() is var trimmed && trimmed.LastIndexOf('\n') is >= 0 and var at ? trimmed[(at + 1)..].Trim() : trimmed;
}
