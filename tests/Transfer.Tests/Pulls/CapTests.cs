using P2PWeights.Testing;

namespace P2PWeights.Transfer.Tests.Pulls;

/// <summary>The caps on a real pull over loopback, by the clock of the node that has the cap: <see cref="Connections.ByteRateTests"/> shows how exact they are.</summary>
public sealed class CapTests
{
    private const int BytesPerSecond = 100_000;

    private static readonly TimeSpan Step = TimeSpan.FromMilliseconds(10);

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Pull_takes_as_long_as_the_cap_of_either_end_says(bool upload)
    {
        var time = new VirtualTime();
        var checkpoint = TestCheckpoint.Uniform(8, 50_000);
        var capped = TestNode.OverTcp with
        {
            UploadBytesPerSecond = upload ? BytesPerSecond : 0,
            DownloadBytesPerSecond = upload ? 0 : BytesPerSecond,
            StallTimeout = TimeSpan.FromMinutes(1),
            NoSourceTimeout = TimeSpan.FromMinutes(1),
        };
        var free = capped with { UploadBytesPerSecond = 0, DownloadBytesPerSecond = 0 };
        await using var source = await TestNode.StartAsync("source", upload ? capped : free, time: upload ? time : null);
        await using var node = await TestNode.StartAsync("node", upload ? free : capped, time: upload ? null : time);
        await source.HoldAsync(checkpoint);
        node.Meet(checkpoint, source.Info);

        // The clock goes slower than the pull could, so that without a cap it would be through at the beginning.
        var pull = node.PullAsync(checkpoint);
        await Eventually.HoldsAsync(
            () =>
            {
                time.Advance(pull.IsCompleted ? default : Step);
                return pull.IsCompleted;
            },
            "the pull ends");

        Assert.Equal(checkpoint.TotalBytes, (await pull).BytesFetched);
        var due = TimeSpan.FromSeconds((double)checkpoint.TotalBytes / BytesPerSecond);
        var took = time.GetElapsedTime(1);
        Assert.True(took >= 0.95 * due, $"{checkpoint.TotalBytes} bytes in {took.TotalSeconds} s at {BytesPerSecond} B/s; {checkpoint.Seeded}");
    }
}
