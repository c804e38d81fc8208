namespace P2PWeights.Sim.Tests;

public sealed class SwarmBoundTests
{
    private static readonly SimOptions Even = new() { Peers = 1024, Shards = 1000, ShardBytes = 1 << 20, BytesPerSecond = 1 << 20 };

    [Fact]
    public void Equal_cards_need_a_round_per_shard_and_one_per_doubling() =>
        Assert.Equal(1010, new SwarmBound(Even, 0).Whole.TotalSeconds, 6);

    [Fact]
    public void Slow_peer_needs_what_its_card_needs()
    {
        var bound = new SwarmBound(Even with { SlowPart = 0.1 }, 0);
        Assert.Equal(4000, bound.Of((1 << 20) / 4.0, isLate: false).TotalSeconds, 6);

        // The publisher alone needs 1000; all cards together, with a tenth at a quarter of the rate, need more.
        Assert.Equal(1024 * 1000 / (1 + 922 + (102 / 4.0)), bound.Whole.TotalSeconds, 6);
    }

    [Fact]
    public void Narrow_uplink_needs_the_time_to_carry_everything_once() =>
        Assert.Equal(2000, new SwarmBound(Even with { Racks = 64 }, (1 << 20) / 2.0).Whole.TotalSeconds, 6);

    [Fact]
    public void Shards_that_are_held_need_no_time() =>
        Assert.Equal(110, new SwarmBound(Even with { HeldPart = 0.9 }, 0).Whole.TotalSeconds, 6);

    [Fact]
    public void Late_peer_needs_everything_from_its_own_start() =>
        Assert.Equal(1000, new SwarmBound(Even with { HeldPart = 0.9, Late = 1 }, 0).Of(1 << 20, isLate: true).TotalSeconds, 6);
}
