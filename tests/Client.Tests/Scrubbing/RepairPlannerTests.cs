using P2PWeights.Client.Scrubbing;

namespace P2PWeights.Client.Tests.Scrubbing;

public sealed class RepairPlannerTests
{
    [Fact]
    public void Shard_of_two_manifests_is_asked_for_once()
    {
        var (first, second) = (ManifestFactory.OfShards(10, 1, 2), ManifestFactory.OfShards(10, 2, 3));

        var plan = RepairPlanner.Plan([Digest(2), Digest(3)], [first, second]);

        Assert.Equal([(first, "1"), (second, "1")], plan.Select(part => (part.Manifest, string.Join(',', part.Ordinals))));
    }

    [Fact]
    public void Shard_that_no_manifest_needs_is_not_asked_for() =>
        Assert.Empty(RepairPlanner.Plan([Digest(9)], [ManifestFactory.OfShards(10, 1)]));

    private static Store.Content.Digest Digest(byte shard) => ManifestFactory.Shard(shard, 10).Digest;
}
