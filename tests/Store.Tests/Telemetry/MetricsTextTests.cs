using System.Diagnostics.Metrics;
using P2PWeights.Store.Telemetry;

namespace P2PWeights.Store.Tests.Telemetry;

public sealed class MetricsTextTests : IDisposable
{
    private readonly Meter _meter = new("P2PWeights.Test." + Guid.NewGuid());
    private readonly MetricsText _text;

    public MetricsTextTests() => _text = new MetricsText(meter => meter == _meter);

    public void Dispose()
    {
        _text.Dispose();
        _meter.Dispose();
    }

    [Fact]
    public void Counter_with_tags_becomes_a_total_per_set_of_tags()
    {
        var counter = _meter.CreateCounter<long>("p2pw.test.sent", "By", "Bytes sent");
        counter.Add(5, new KeyValuePair<string, object?>("path", "tcp"));
        counter.Add(7, new KeyValuePair<string, object?>("path", "tcp"));
        counter.Add(1, new KeyValuePair<string, object?>("path", "quote\" slash\\ line\n"));

        Assert.Equal(
            """
            # HELP p2pw_test_sent_bytes_total Bytes sent
            # TYPE p2pw_test_sent_bytes_total counter
            p2pw_test_sent_bytes_total{path="quote\" slash\\ line\n"} 1
            p2pw_test_sent_bytes_total{path="tcp"} 12

            """,
            _text.Render());
    }

    [Fact]
    public void Unit_that_the_name_ends_with_is_not_repeated()
    {
        _meter.CreateCounter<long>("p2pw.test.bytes", "By").Add(1);

        Assert.Contains("\np2pw_test_bytes_total 1\n", _text.Render(), StringComparison.Ordinal);
    }

    [Fact]
    public void Observable_gauge_shows_its_value_of_now_however_often_it_is_asked()
    {
        var value = 3;
        _meter.CreateObservableGauge("p2pw.test.held", () => value);

        Assert.Contains("\np2pw_test_held 3\n", _text.Render(), StringComparison.Ordinal);
        value = 2;
        Assert.Contains("\np2pw_test_held 2\n", _text.Render(), StringComparison.Ordinal);
    }

    [Fact]
    public void Up_down_counter_shows_the_sum_of_its_steps()
    {
        var counter = _meter.CreateUpDownCounter<int>("p2pw.test.open");
        counter.Add(3);
        counter.Add(-1);

        Assert.Contains("# TYPE p2pw_test_open gauge\np2pw_test_open 2\n", _text.Render(), StringComparison.Ordinal);
    }

    [Fact]
    public void Histogram_has_cumulative_buckets_that_end_in_the_count()
    {
        var histogram = _meter.CreateHistogram<double>("p2pw.test.duration", "s");
        foreach (var seconds in new[] { 0.001, 0.3, 0.4, 1000 })
        {
            histogram.Record(seconds);
        }

        var text = _text.Render();
        Assert.Contains("p2pw_test_duration_seconds_bucket{le=\"0.001\"} 1\n", text, StringComparison.Ordinal);
        Assert.Contains("p2pw_test_duration_seconds_bucket{le=\"0.25\"} 1\n", text, StringComparison.Ordinal);
        Assert.Contains("p2pw_test_duration_seconds_bucket{le=\"0.5\"} 3\n", text, StringComparison.Ordinal);
        Assert.Contains("p2pw_test_duration_seconds_bucket{le=\"250\"} 3\n", text, StringComparison.Ordinal);
        Assert.Contains("p2pw_test_duration_seconds_bucket{le=\"+Inf\"} 4\n", text, StringComparison.Ordinal);
        Assert.Contains("p2pw_test_duration_seconds_count 4\n", text, StringComparison.Ordinal);
        Assert.Contains("p2pw_test_duration_seconds_sum 1000.701\n", text, StringComparison.Ordinal);
    }

    [Fact]
    public void Meter_that_is_not_included_is_not_shown()
    {
        using var other = new Meter("P2PWeights.Other." + Guid.NewGuid());
        other.CreateCounter<int>("p2pw.other").Add(1);

        Assert.Equal(string.Empty, _text.Render());
    }
}
