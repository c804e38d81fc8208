using System.Buffers;
using System.Globalization;

namespace P2PWeights.Store.Content;

/// <summary>Sizes as people write them: <c>512MiB</c>, <c>1.5 GB</c>, <c>4096</c>. Units of 1024 have an <c>i</c>, units of 1000 do not.</summary>
public static class ByteSize
{
    private static readonly SearchValues<char> NumberCharacters = SearchValues.Create("0123456789.");

    private static readonly (string Unit, long Bytes)[] Units =
    [
        ("", 1),
        ("B", 1),
        ("KiB", 1L << 10),
        ("MiB", 1L << 20),
        ("GiB", 1L << 30),
        ("TiB", 1L << 40),
        ("PiB", 1L << 50),
        ("kB", 1_000),
        ("MB", 1_000_000),
        ("GB", 1_000_000_000),
        ("TB", 1_000_000_000_000),
        ("PB", 1_000_000_000_000_000),
    ];

    /// <summary>Reads a size that is not negative: digits, perhaps a decimal point, perhaps a unit in either case. The result is rounded down to a byte.</summary>
    public static bool TryParse(ReadOnlySpan<char> text, out long bytes)
    {
        bytes = 0;
        text = text.Trim();
        var digits = text.IndexOfAnyExcept(NumberCharacters);
        digits = digits < 0 ? text.Length : digits;
        if (!decimal.TryParse(text[..digits], NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var number))
        {
            return false;
        }

        var unit = text[digits..].TrimStart();
        foreach (var (name, factor) in Units)
        {
            if (unit.Equals(name, StringComparison.OrdinalIgnoreCase))
            {
                if (number > long.MaxValue / (decimal)factor)
                {
                    return false;
                }

                bytes = (long)(number * factor);
                return true;
            }
        }

        return false;
    }

    /// <summary>Reads a size.</summary>
    /// <exception cref="FormatException">The text is not one.</exception>
    public static long Parse(ReadOnlySpan<char> text) =>
        TryParse(text, out var bytes) ? bytes : throw new FormatException($"'{text}' is not a size; write 4096, 512MiB or 1.5GB");

    /// <summary>A size for people, in units of 1024, at most three significant decimals: <c>512 MiB</c>, <c>1.46 GiB</c>, <c>17 B</c>.</summary>
    public static string Format(long bytes)
    {
        string[] units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
        var value = (double)bytes;
        var unit = 0;

        // 1023.995 would print as "1024": go to the next unit when rounding would reach it.
        while (Math.Abs(value) >= 1023.5 && unit < units.Length - 1)
        {
            value /= 1024;
            unit++;
        }

        var format = Math.Abs(value) >= 100 || unit == 0 ? "0" : Math.Abs(value) >= 10 ? "0.#" : "0.##";
        return string.Create(CultureInfo.InvariantCulture, $"{value.ToString(format, CultureInfo.InvariantCulture)} {units[unit]}");
    }
}
