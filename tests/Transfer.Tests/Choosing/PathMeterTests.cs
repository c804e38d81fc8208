using P2PWeights.Transfer.Choosing;

namespace P2PWeights.Transfer.Tests.Choosing;

public sealed class PathMeterTests
{
    private readonly ManualTime _time = new();

    [Fact]
    public void Time_counts_once_however_many_shards_are_on_their_way()
    {
        var meter = new PathMeter(_time);
        meter.Begin();
        _time.Advance(TimeSpan.FromSeconds(1));
        meter.Begin();
        _time.Advance(TimeSpan.FromSeconds(1));
        meter.End();
        meter.End();
        _time.Advance(TimeSpan.FromSeconds(10));
        meter.Carried(100);

        var report = meter.Report("tcp");

        Assert.Equal(("tcp", 1, 100L, TimeSpan.FromSeconds(2)), (report.Path, report.Shards, report.Bytes, report.Active));
    }

    [Fact]
    public void Rate_is_that_of_the_time_with_something_on_its_way_and_follows_changes()
    {
        var meter = new PathMeter(_time);
        Carry(meter, 10, bytesPerSecond: 1_000_000);
        Assert.Equal(1_000_000, meter.BytesPerSecond, 1.0);

        _time.Advance(TimeSpan.FromHours(1));
        Assert.Equal(1_000_000, meter.BytesPerSecond, 1.0);

        Carry(meter, 60, bytesPerSecond: 3_000_000);
        Assert.InRange(meter.BytesPerSecond, 2_900_000, 3_000_001);
    }

    [Fact]
    public void Failures_are_counted_by_reason()
    {
        var meter = new PathMeter(_time);
        Assert.False(meter.WasUsed);

        meter.Failed(FailureReasons.Stall);
        meter.Failed(FailureReasons.Stall);
        meter.Failed(FailureReasons.LaneLost);

        Assert.True(meter.WasUsed);
        Assert.Equal([new(FailureReasons.LaneLost, 1), new(FailureReasons.Stall, 2)], meter.Report("rdma").Failures);
    }

    private void Carry(PathMeter meter, int seconds, int bytesPerSecond)
    {
        for (var second = 0; second < seconds; second++)
        {
            meter.Begin();
            _time.Advance(TimeSpan.FromSeconds(1));
            meter.End();
            meter.Carried(bytesPerSecond);
        }
    }
}
