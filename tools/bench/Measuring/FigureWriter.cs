using System.CommandLine;
using System.Globalization;
using System.Text.Json;

namespace P2PWeights.Bench.Measuring;

/// <summary>Prints figures: a table for people, or one line of JSON each. In the latter case what explains them goes to standard error.</summary>
internal sealed class FigureWriter(bool json)
{
    public static FigureWriter For(ParseResult arguments) => new(arguments.GetValue(CommonOptions.Json));

    /// <summary>Whether figures are lines of JSON.</summary>
    public bool Json => json;

    /// <summary>A sentence that says what the figures that follow compare.</summary>
    public void Explain(string sentence) => (json ? Console.Error : Console.Out).WriteLine(sentence);

    /// <summary>A value that has no anchor.</summary>
    public void Info(string name, double value, string unit) =>
        (json ? Console.Error : Console.Out).WriteLine(string.Create(CultureInfo.InvariantCulture, $"{name,-34} {value,8:F3} {unit}"));

    public void Write(IEnumerable<Figure> figures)
    {
        foreach (var figure in figures)
        {
            Console.Out.WriteLine(json ? JsonSerializer.Serialize(figure) : Line(figure));
        }
    }

    private static string Line(Figure figure)
    {
        var line = string.Create(
            CultureInfo.InvariantCulture,
            $"{figure.Name,-34} {figure.Ours,8:F3} {figure.Unit}   anchor {figure.Anchor,8:F3} {figure.Unit}   ratio {figure.Ratio,6:F3}   ({figure.Min:F3} to {figure.Max:F3}, {figure.Runs} runs)");
        return figure.OursCpu is { } ours && figure.AnchorCpu is { } anchor ? $"{line}\n{"  CPU seconds per GB",-34} {Text(ours)}   anchor {Text(anchor)}" : line;
    }

    private static string Text(CpuCost cost) => string.Create(
        CultureInfo.InvariantCulture,
        $"{cost.Total(),8:F3}{(cost.Sending == 0 ? "" : $" ({cost.Sending:F3} sending, {cost.Receiving:F3} receiving)")}");
}
