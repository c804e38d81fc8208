using P2PWeights.Client.Sync;

namespace P2PWeights.Client.Tests.Sync;

public sealed class ReplicaHintsTests
{
    private readonly ReplicaHints _hints = new();

    [Fact]
    public void Shard_of_two_swarms_has_the_larger_count()
    {
        _hints.Update(ManifestFactory.OfShards(10, 1, 2), new byte[] { 3, 0 });
        _hints.Update(ManifestFactory.OfShards(10, 2, 3), new byte[] { 5, 1 });

        Assert.Equal((3, 5, 1), (Replicas(1), Replicas(2), Replicas(3)));
    }

    [Fact]
    public void Unknown_shard_has_no_replicas() => Assert.Equal(0, Replicas(9));

    [Fact]
    public void Later_view_replaces_the_earlier()
    {
        var manifest = ManifestFactory.OfShards(10, 1);
        _hints.Update(manifest, new byte[] { 3 });
        _hints.Update(manifest, new byte[] { 1 });

        Assert.Equal(1, Replicas(1));
    }

    [Fact]
    public void View_that_does_not_fit_the_manifest_is_ignored()
    {
        _hints.Update(ManifestFactory.OfShards(10, 1, 2), new byte[] { 7 });

        Assert.Equal(0, Replicas(1));
    }

    private int Replicas(byte shard) => _hints.Replicas(ManifestFactory.Shard(shard, 10).Digest);
}
