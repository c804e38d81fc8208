using P2PWeights.Client.Sync;
using P2PWeights.Store.Content;
using P2PWeights.Tracker;

namespace P2PWeights.Client.Tests.Sync;

public sealed class ReplicaHintsTests
{
    private readonly Dictionary<Digest, Manifest> _manifests = [];
    private readonly ReplicaHints _hints;

    public ReplicaHintsTests() => _hints = new ReplicaHints(
        (manifest, shard) => _manifests.TryGetValue(manifest, out var found) ? found.Shards.Select(info => info.Digest).ToList().IndexOf(shard) : -1);

    [Fact]
    public void Shard_of_two_swarms_is_elsewhere_when_one_of_them_says_so()
    {
        Update(0b01, 1, 2);
        Update(0b01, 2, 3);

        Assert.Equal((false, true, true), (IsElsewhere(1), IsElsewhere(2), IsElsewhere(3)));
    }

    [Fact]
    public void Unknown_shard_is_not_elsewhere() => Assert.False(IsElsewhere(9));

    [Fact]
    public void Later_view_replaces_the_earlier()
    {
        Update(0, 1);
        Assert.True(IsElsewhere(1));
        Update(1, 1);
        Assert.False(IsElsewhere(1));
    }

    [Fact]
    public void View_that_is_too_short_says_nothing_of_the_rest()
    {
        Update(0, 1, 2, 3, 4, 5, 6, 7, 8, 10);

        Assert.Equal((true, false), (IsElsewhere(8), IsElsewhere(10)));
    }

    private void Update(byte scarce, params byte[] shards)
    {
        var manifest = ManifestFactory.OfShards(10, shards);
        _manifests[manifest.Digest] = manifest;
        _hints.Update(new ScarceShards(manifest.Digest, new[] { scarce }));
    }

    private bool IsElsewhere(byte shard) => _hints.IsElsewhere(ManifestFactory.Shard(shard, 10).Digest);
}
