using P2PWeights.Client.Pulling;
using P2PWeights.Transfer;

namespace P2PWeights.Client.Tests.Pulling;

public sealed class PulledPartsTests
{
    [Fact]
    public void Shards_in_place_are_not_wanted_and_count_as_reused()
    {
        var parts = new PulledParts(ManifestFactory.OfShards(10, 1, 2, 3), [false, true, true]);

        Assert.Equal([0], parts.Wanted);
        Assert.Equal(new PullProgress(20, 30, 0, 2, 3, 0), parts.AtStart);
        var report = parts.Whole(new PullReport(10, 4, 6, 1, TimeSpan.Zero, []), TimeSpan.FromSeconds(2));
        Assert.Equal((30, 24, 6, 1, TimeSpan.FromSeconds(2)), (report.BytesTotal, report.BytesReused, report.BytesFetched, report.BytesWasted, report.Elapsed));
    }

    [Fact]
    public void Without_a_folder_every_shard_is_wanted() =>
        Assert.Equal([0, 1], new PulledParts(ManifestFactory.OfShards(10, 1, 2), inPlace: null).Wanted);
}
