using P2PWeights.Transfer.Pulling.Limits;

namespace P2PWeights.Transfer.Tests.Pulling.Limits;

public sealed class LimitFinderTests
{
    [Fact]
    public void Limit_is_the_stage_that_held_most_with_its_numbers()
    {
        var limit = LimitFinder.Find([new(PullTerms.Wire, "tcp", 15.1, 0.92), new(PullTerms.Verify, null, 1.2, 0.08)], 0.1, 5e8, 0);

        Assert.NotNull(limit);
        Assert.Equal((PullTerms.Wire, "tcp", 0.92), (limit.Term, limit.Path, limit.Share));
        Assert.Equal("network (tcp): 15.1 of 16.3 shards under way on average, 92 % of the time", limit.Text);
        Assert.NotEmpty(limit.Help);
    }

    [Theory]
    [InlineData("tcp")]
    [InlineData("rdma")]
    public void Network_that_gives_what_the_cap_allows_is_the_cap(string path)
    {
        var limit = LimitFinder.Find([new(PullTerms.Wire, path, 4, 1)], 0, 95e6, 100_000_000);

        Assert.Equal((PullTerms.DownloadCap, "the node's cap on what it receives: 95 of 100 MB/s received"), (limit!.Term, limit.Text));
    }

    [Theory]
    [InlineData("tcp", 50e6)]
    [InlineData("rdma", 50e6)]
    [InlineData("local", 95e6)]
    [InlineData("nvlink", 95e6)]
    public void Network_below_the_cap_or_by_a_path_that_has_none_is_the_network(string path, double rate) =>
        Assert.Equal(PullTerms.Wire, LimitFinder.Find([new(PullTerms.Wire, path, 4, 1)], 0, rate, 100_000_000)!.Term);

    [Fact]
    public void Pull_that_spent_no_time_has_no_limit() => Assert.Null(LimitFinder.Find([], 0, 0, 0));
}
