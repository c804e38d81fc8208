using P2PWeights.Cli.Output;
using P2PWeights.Client;
using P2PWeights.Store;
using P2PWeights.Store.Content;
using P2PWeights.Tracker;
using P2PWeights.Transfer;

namespace P2PWeights.Cli.Tests.Output;

public sealed class OutputTests
{
    public static TheoryData<Exception, int> Failures => new()
    {
        { new NodeException(NodeError.NoPeers, "m"), 5 },
        { new TrackerException(TrackerError.Unreachable, "m"), 6 },
        { new TrackerException(TrackerError.NotAllowed, "m"), 7 },
        { new TrackerException(TrackerError.Locked, "m"), 7 },
        { new TrackerException(TrackerError.Listen, "m"), 2 },
        { new StoreException(StoreError.Full, "m"), 8 },
        { new StoreException(StoreError.WrongDigest, "m"), 4 },
        { new StoreException(StoreError.Locked, "m"), 7 },
        { new StoreException(StoreError.NotAllowed, "m"), 2 },
        { new TransferException(TransferError.NoSources, "m"), 5 },
        { new TransferException(TransferError.NotAllowed, "m"), 7 },
        { new ManifestException("m"), 4 },
        { new IOException("m", 28), 8 },
        { new DirectoryNotFoundException("m"), 2 },
        { new UnauthorizedAccessException("m"), 7 },
        { new InvalidOperationException("m"), 1 },
    };

    [Theory]
    [MemberData(nameof(Failures))]
    public void Failure_has_the_documented_exit_code_and_no_stack(Exception exception, int exitCode)
    {
        var failure = Failure.Of(exception);

        Assert.Equal(exitCode, failure.ExitCode);
        Assert.Contains("m", failure.Message, StringComparison.Ordinal);
        Assert.Null(failure.Trace);
    }

    [Theory]
    [InlineData(1.234e9, "1.23 GB/s")]
    [InlineData(450e6, "450 MB/s")]
    [InlineData(1500, "2 kB/s")]
    [InlineData(0, "0 kB/s")]
    public void Rate_is_decimal(double bytesPerSecond, string expected) => Assert.Equal(expected, Format.Rate(bytesPerSecond));

    [Theory]
    [InlineData(0.84, "0.8 s")]
    [InlineData(200, "3 min 20 s")]
    [InlineData(18600, "5 h 10 min")]
    [InlineData(273600, "3 d 4 h")]
    public void Time_is_short(double seconds, string expected) => Assert.Equal(expected, Format.Time(TimeSpan.FromSeconds(seconds)));

    [Theory]
    [InlineData(0, 0, "100 %")]
    [InlineData(1, 3, "33 %")]
    [InlineData(999, 1000, "99 %")] // one shard short of everything is not everything
    public void Share_is_100_only_of_everything_or_of_nothing(long part, long whole, string expected) => Assert.Equal(expected, Format.Share(part, whole));

    [Fact]
    public void Table_sets_numbers_to_the_right_and_ends_lines_clean()
    {
        var table = new TextTable("name", ">size", "note");
        table.Add("a", "1000", "");
        table.Add("longer", "7", "x");
        using var text = new StringWriter { NewLine = "\n" };

        table.Write(text, "  ");

        Assert.Equal("  NAME    SIZE  NOTE\n  a       1000\n  longer     7  x\n", text.ToString());
    }

    [Fact]
    public void Meter_tells_speed_and_remaining_time()
    {
        var meter = new RateMeter();

        meter.Add(TimeSpan.FromSeconds(0), 0);
        Assert.Null(meter.Remaining(100));
        meter.Add(TimeSpan.FromSeconds(2), 50);

        Assert.Equal(25, meter.BytesPerSecond);
        Assert.Equal(TimeSpan.FromSeconds(2), meter.Remaining(100));
    }

    [Fact]
    public void Meter_forgets_what_is_long_past()
    {
        var meter = new RateMeter();
        for (var second = 0; second <= 20; second++)
            meter.Add(TimeSpan.FromSeconds(second), second <= 10 ? second * 100 : 1000);

        Assert.Equal(0, meter.BytesPerSecond);
        Assert.Null(meter.Remaining(2000));
    }

    [Theory]
    [InlineData(0, 0, "")]
    [InlineData(50, 100, "━━━━━━━━━━━━")]
    [InlineData(300, 100, "━━━━━━━━━━━━━━━━━━━━━━━━")]
    public void Bar_keeps_its_width(long done, long total, string filled)
    {
        var bar = new ProgressFrame("t", done, total, []).Bar;

        Assert.Equal(filled, bar.Filled);
        Assert.Equal(24, bar.Filled.Length + bar.Empty.Length);
    }

    [Theory]
    [InlineData(0, 0, "3 sources")]
    [InlineData(0, 100, "0 %  0 B of 100 B  0 kB/s  3 sources")]
    [InlineData(50, 0, "50 B  0 kB/s  3 sources")]
    public void Numbers_of_nothing_are_left_out(long done, long total, string expected) => Assert.Equal(expected, new ProgressFrame("t", done, total, ["3 sources"]).Numbers(new RateMeter()));

    [Fact]
    public void Json_has_snake_case_keys_and_digests_in_hex()
    {
        var report = new PublishReport("a@1", default, true, 1, 2, 3, 0, 4, TimeSpan.FromSeconds(1.5), TimeSpan.FromMilliseconds(250));

        var json = JsonShapes.Write(JsonShapes.Of(report));

        Assert.Equal(
            $$"""{"checkpoint":"a@1","manifest":"{{new string('0', 64)}}","already_published":true,"files":1,"tensors":2,"shards":3,"new_shards":0,"bytes":4,"elapsed_seconds":1.5,"hash_seconds":0.25}""", json);
    }
}
