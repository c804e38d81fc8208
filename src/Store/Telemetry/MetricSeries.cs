using System.Globalization;
using System.Text;

namespace P2PWeights.Store.Telemetry;

/// <summary>The values of one family under one set of tags. Guarded by its family's lock.</summary>
internal sealed class MetricSeries
{
    /// <summary>Upper bounds of the buckets: thousandths to hundreds, in steps of about 2.5, which suits durations in seconds.</summary>
    private static readonly double[] Bounds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250];

    private long[]? _buckets;
    private long _count;
    private double _sum;

    public void Set(double value) => _sum = value;

    public void Add(double value, bool bucketed)
    {
        _sum += value;
        _count++;
        if (bucketed)
        {
            var bound = Array.BinarySearch(Bounds, value);
            (_buckets ??= new long[Bounds.Length + 1])[bound >= 0 ? bound : ~bound]++;
        }
    }

    public void RenderValue(StringBuilder text, string name, string labels) => Line(text, name, labels, _sum);

    /// <summary>Cumulative buckets, sum and count, as the format wants them.</summary>
    public void RenderHistogram(StringBuilder text, string name, string labels)
    {
        var below = 0L;
        for (var i = 0; i <= Bounds.Length; i++)
        {
            below += _buckets![i];
            var bound = i < Bounds.Length ? Bounds[i].ToString(CultureInfo.InvariantCulture) : "+Inf";
            Line(text, name + "_bucket", $"{labels}{(labels.Length > 0 ? "," : "")}le=\"{bound}\"", below);
        }

        Line(text, name + "_sum", labels, _sum);
        Line(text, name + "_count", labels, _count);
    }

    private static void Line(StringBuilder text, string name, string labels, double value)
    {
        text.Append(name);
        if (labels.Length > 0)
        {
            text.Append('{').Append(labels).Append('}');
        }

        text.Append(' ').Append(value.ToString("R", CultureInfo.InvariantCulture)).Append('\n');
    }
}
