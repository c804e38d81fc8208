using System.Diagnostics.Metrics;
using System.Globalization;
using System.Text;

namespace P2PWeights.Store.Telemetry;

/// <summary>One instrument in the text format: its name, its kind, and a series per set of tags.</summary>
internal sealed class MetricFamily
{
    /// <summary>Tags are of low cardinality by rule; should one not be, memory stays bounded and the series beyond are not shown.</summary>
    private const int MaxSeries = 1000;

    private readonly Lock _lock = new();
    private readonly SortedDictionary<string, MetricSeries> _series = new(StringComparer.Ordinal);
    private readonly MetricKind _kind;
    private readonly bool _observed;
    private readonly string _help;

    public MetricFamily(Instrument instrument)
    {
        var type = instrument.GetType();
        var generic = type.IsGenericType ? type.GetGenericTypeDefinition() : type;
        _observed = instrument.IsObservable;
        _kind = generic == typeof(Counter<>) || generic == typeof(ObservableCounter<>) ? MetricKind.Counter
            : generic == typeof(Histogram<>) ? MetricKind.Histogram
            : generic == typeof(UpDownCounter<>) ? MetricKind.Sum
            : MetricKind.Gauge;
        Name = NameOf(instrument, _kind);
        _help = (instrument.Description ?? instrument.Name).Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\n", "\\n", StringComparison.Ordinal);
    }

    public string Name { get; }

    public void Record(double value, ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        var labels = Labels(tags);
        lock (_lock)
        {
            if (!_series.TryGetValue(labels, out var series))
            {
                if (_series.Count >= MaxSeries)
                {
                    return;
                }

                _series.Add(labels, series = new MetricSeries());
            }

            // An observable instrument tells its value; two of one name (two nodes in a process) add up, for what was observed before is forgotten first.
            if (_kind == MetricKind.Gauge && !_observed)
            {
                series.Set(value);
            }
            else
            {
                series.Add(value, _kind == MetricKind.Histogram);
            }
        }
    }

    /// <summary>Before each round of observation.</summary>
    public void ForgetObserved()
    {
        if (_observed)
        {
            lock (_lock)
            {
                _series.Clear();
            }
        }
    }

    public void Render(StringBuilder text)
    {
        lock (_lock)
        {
            if (_series.Count == 0)
            {
                return;
            }

            var kind = _kind switch { MetricKind.Counter => "counter", MetricKind.Histogram => "histogram", _ => "gauge" };
            text.Append(CultureInfo.InvariantCulture, $"# HELP {Name} {_help}\n# TYPE {Name} {kind}\n");
            foreach (var (labels, series) in _series)
            {
                if (_kind == MetricKind.Histogram)
                {
                    series.RenderHistogram(text, Name, labels);
                }
                else
                {
                    series.RenderValue(text, Name, labels);
                }
            }
        }
    }

    /// <summary>Dots become underscores; the unit (UCUM) and, for counters, "total" go last, as Prometheus names want it.</summary>
    private static string NameOf(Instrument instrument, MetricKind kind)
    {
        var name = new StringBuilder(instrument.Name.Length + 16);
        foreach (var c in instrument.Name)
        {
            name.Append(char.IsAsciiLetterOrDigit(c) ? c : '_');
        }

        var unit = instrument.Unit switch { "By" => "_bytes", "By/s" => "_bytes_per_second", "s" => "_seconds", "ms" => "_milliseconds", _ => "" };
        if (!name.ToString().EndsWith(unit, StringComparison.Ordinal))
        {
            name.Append(unit);
        }

        return name.Append(kind == MetricKind.Counter ? "_total" : "").ToString();
    }

    private static string Labels(ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        if (tags.IsEmpty)
        {
            return string.Empty;
        }

        var labels = new StringBuilder();
        foreach (var (key, value) in tags)
        {
            labels.Append(labels.Length > 0 ? "," : "").Append(key.Replace('.', '_')).Append("=\"");
            foreach (var c in Convert.ToString(value, CultureInfo.InvariantCulture) ?? string.Empty)
            {
                labels.Append(c switch { '\\' => "\\\\", '"' => "\\\"", '\n' => "\\n", _ => c.ToString() });
            }

            labels.Append('"');
        }

        return labels.ToString();
    }
}

/// <summary>How values of a family combine.</summary>
internal enum MetricKind
{
    /// <summary>Only grows.</summary>
    Counter,

    /// <summary>Up and down by steps.</summary>
    Sum,

    /// <summary>The last value counts.</summary>
    Gauge,

    /// <summary>Counted by size.</summary>
    Histogram,
}
