using P2PWeights.Transfer.Pulling;

namespace P2PWeights.Transfer.Tests.Pulling;

public sealed class ShardSharesTests
{
    [Fact]
    public void Shares_of_nodes_that_see_each_other_are_every_shard_once_and_about_even()
    {
        const int Shards = 10_000;
        var nodes = Enumerable.Range(1, 5).Select(i => new Guid(i, 0, 0, new byte[8])).ToArray();
        var shares = nodes.Select(self => ShardShares.Of(self, [.. nodes.Where(other => other != self)], Shards)).ToArray();
        for (var ordinal = 0; ordinal < Shards; ordinal++)
        {
            Assert.Single(shares, share => share[ordinal]);
        }

        Assert.All(shares, share => Assert.InRange(share.Count(), 1800, 2200));
    }

    [Fact]
    public void Share_of_a_node_alone_is_everything() => Assert.Equal(77, ShardShares.Of(Guid.NewGuid(), [], 77).Count());
}
