namespace P2PWeights.Cli.Output;

/// <summary>
/// Rows in columns divided by two spaces and nothing else, so that a table reads well and <c>awk</c> and <c>grep</c> can use it. No wrapping: a pipe has no width.
/// </summary>
internal sealed class TextTable(params string[] header)
{
    private readonly List<string[]> _rows = [header];

    /// <summary>Adds a row. A cell whose header starts with <c>&gt;</c> is set to the right.</summary>
    public void Add(params string[] cells) => _rows.Add(cells);

    public void Write(TextWriter writer, string indent = "")
    {
        var right = header.Select(title => title.StartsWith('>')).ToArray();
        _rows[0] = [.. header.Select(title => title.TrimStart('>').ToUpperInvariant())];
        var widths = Enumerable.Range(0, header.Length).Select(column => _rows.Max(row => row[column].Length)).ToArray();
        foreach (var row in _rows)
        {
            var cells = row.Select((cell, column) => right[column] ? cell.PadLeft(widths[column]) : cell.PadRight(widths[column]));
            writer.WriteLine(indent + string.Join("  ", cells).TrimEnd());
        }
    }
}
