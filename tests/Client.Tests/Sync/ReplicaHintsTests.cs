using P2PWeights.Client.Sync;
using P2PWeights.Store.Content;
using P2PWeights.Tracker;

namespace P2PWeights.Client.Tests.Sync;

public sealed class ReplicaHintsTests
{
    private readonly List<Manifest> _joined = [];
    private readonly ReplicaHints _hints;

    public ReplicaHintsTests() => _hints = new ReplicaHints(shard =>
        from manifest in _joined
        let ordinal = manifest.Shards.Select(info => info.Digest).ToList().IndexOf(shard)
        where ordinal >= 0
        select (manifest.Digest, ordinal));

    [Fact]
    public void Shard_of_two_swarms_is_elsewhere_when_one_of_them_says_so()
    {
        Update(Join(1, 2), scarce: 0b01, told: 0b11);
        Update(Join(2, 3), scarce: 0b01, told: 0b11);

        Assert.Equal((false, true, true), (IsElsewhere(1), IsElsewhere(2), IsElsewhere(3)));
    }

    [Fact]
    public void Shard_of_no_swarm_is_not_elsewhere() => Assert.False(IsElsewhere(9));

    [Fact]
    public void Shard_of_a_swarm_whose_scarce_ones_are_unknown_is_elsewhere()
    {
        Join(1);

        Assert.True(IsElsewhere(1));
    }

    [Fact]
    public void Scarce_shard_that_came_since_is_elsewhere()
    {
        Update(Join(1, 2), scarce: 0b11, told: 0b01);

        Assert.Equal((false, true), (IsElsewhere(1), IsElsewhere(2)));
    }

    [Fact]
    public void Later_view_replaces_the_earlier()
    {
        var manifest = Join(1);
        Update(manifest, scarce: 0, told: 1);
        Assert.True(IsElsewhere(1));
        Update(manifest, scarce: 1, told: 1);
        Assert.False(IsElsewhere(1));
    }

    [Fact]
    public void View_that_is_too_short_says_nothing_of_the_rest()
    {
        Update(Join(1, 2, 3, 4, 5, 6, 7, 8, 10), new byte[1], [0xff, 0x01]);

        Assert.Equal((true, false), (IsElsewhere(8), IsElsewhere(10)));
    }

    [Fact]
    public void View_of_a_swarm_that_was_left_is_gone()
    {
        var manifest = Join(1);
        Update(manifest, scarce: 1, told: 1);
        _hints.Forget(manifest.Digest);

        Assert.True(IsElsewhere(1));
    }

    private Manifest Join(params byte[] shards)
    {
        var manifest = ManifestFactory.OfShards(10, shards);
        _joined.Add(manifest);
        return manifest;
    }

    private void Update(Manifest manifest, byte scarce, byte told) => Update(manifest, [scarce], [told]);

    private void Update(Manifest manifest, byte[] scarce, byte[] told) => _hints.Update(new ScarceShards(manifest.Digest, scarce), told);

    private bool IsElsewhere(byte shard) => _hints.IsElsewhere(ManifestFactory.Shard(shard, 10).Digest);
}
