using System.Globalization;
using System.Text;

namespace P2PWeights.Sim;

/// <summary>Draws the progress of a swarm over time as an SVG.</summary>
public static class ProgressChart
{
    private const int Width = 800;
    private const int Height = 420;
    private const int Left = 60;
    private const int Right = 20;
    private const int Top = 40;
    private const int Bottom = 60;

    /// <summary>The picture, as the text of an SVG file.</summary>
    public static string Draw(SimReport report)
    {
        var span = report.Progress[^1].At > report.Bound ? report.Progress[^1].At : report.Bound;
        var copies = Math.Max(1, report.PublisherCopies);
        var svg = new StringBuilder();
        svg.Append(CultureInfo.InvariantCulture, $"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {Width} {Height}" font-family="sans-serif" font-size="12">""").Append('\n');
        svg.Append(CultureInfo.InvariantCulture, $"""<rect width="{Width}" height="{Height}" fill="white"/>""").Append('\n');
        Text(svg, Left, 20, "start", Invariant($"{report.Options.Peers} peers, {report.Options.Shards} shards, seed {report.Options.Seed}: last finisher {report.LastOverBound:0.000} x the bound"));
        for (var tenth = 0; tenth <= 10; tenth += 2)
        {
            var y = Y(tenth / 10.0);
            svg.Append(CultureInfo.InvariantCulture, $"""<line x1="{Left}" y1="{y:0.0}" x2="{Width - Right}" y2="{y:0.0}" stroke="#ddd"/>""").Append('\n');
            Text(svg, Left - 6, y + 4, "end", Invariant($"{tenth * 10} %"));
            var x = X(span * (tenth / 10.0), span);
            Text(svg, x, Height - Bottom + 18, "middle", Invariant($"{span.TotalSeconds * tenth / 10:0.###} s"));
        }

        var bound = X(report.Bound, span);
        svg.Append(CultureInfo.InvariantCulture, $"""<line x1="{bound:0.0}" y1="{Top}" x2="{bound:0.0}" y2="{Height - Bottom}" stroke="#888" stroke-dasharray="4 3"/>""").Append('\n');
        Text(svg, bound, Top - 4, "middle", "bound");
        Curve(svg, report, span, "#1f77b4", point => point.Held);
        Curve(svg, report, span, "#2ca02c", point => (double)point.Finished / (report.Options.Peers + report.Options.Late));
        Curve(svg, report, span, "#d62728", point => point.PublisherCopies / copies);
        Legend(svg, 0, "#1f77b4", "shards held");
        Legend(svg, 1, "#2ca02c", "peers that have everything");
        Legend(svg, 2, "#d62728", Invariant($"sent by publishers (100 % = {copies:0.00} copies)"));
        return svg.Append("</svg>\n").ToString();
    }

    private static void Curve(StringBuilder svg, SimReport report, TimeSpan span, string colour, Func<ProgressPoint, double> value)
    {
        var points = report.Progress.Select(point => Invariant($"{X(point.At, span):0.0},{Y(value(point)):0.0}"));
        svg.Append(CultureInfo.InvariantCulture, $"""<polyline fill="none" stroke="{colour}" stroke-width="2" points="{string.Join(' ', points)}"/>""").Append('\n');
    }

    private static void Legend(StringBuilder svg, int index, string colour, string text)
    {
        var x = Left + (index * 240);
        svg.Append(CultureInfo.InvariantCulture, $"""<rect x="{x}" y="{Height - 22}" width="12" height="12" fill="{colour}"/>""").Append('\n');
        Text(svg, x + 18, Height - 12, "start", text);
    }

    private static void Text(StringBuilder svg, double x, double y, string anchor, string text) =>
        svg.Append(CultureInfo.InvariantCulture, $"""<text x="{x:0.0}" y="{y:0.0}" text-anchor="{anchor}">{text}</text>""").Append('\n');

    private static double X(TimeSpan at, TimeSpan span) => Left + ((Width - Left - Right) * (at / span));

    private static double Y(double part) => Height - Bottom - ((Height - Top - Bottom) * part);

    private static string Invariant(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
