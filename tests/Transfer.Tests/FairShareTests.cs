namespace P2PWeights.Transfer.Tests;

public sealed class FairShareTests
{
    [Fact]
    public void Holder_that_takes_all_it_can_leaves_a_half_and_the_next_one_a_quarter()
    {
        var share = new FairShare<string>(64);

        Assert.Equal([32, 16, 8, 4, 2, 1, 1, 0], ((string[])["a", "b", "c", "d", "e", "f", "g", "h"]).Select(holder => TakeAll(share, holder)));
        Assert.Equal(64, share.Taken);
    }

    [Fact]
    public void Holders_that_need_little_share_all_but_a_rest()
    {
        var share = new FairShare<int>(1000);
        var served = Enumerable.Range(0, 1000).TakeWhile(holder => share.TryTake(holder, 10)).Count();
        Assert.Equal(99, served);
    }

    [Fact]
    public void Nobody_gets_more_than_the_most_for_each_and_what_is_returned_is_anybodys()
    {
        var share = new FairShare<string>(64, mostEach: 5);
        Assert.Equal(5, TakeAll(share, "a"));
        share.Return("a", 2);
        Assert.Equal((3, 2), (share.Taken, TakeAll(share, "a")));
        share.Return("a", 5);
        Assert.Equal((0, false, true), (share.Taken, share.TryTake("a", 6), share.TryTake("b", 5)));
    }

    private static int TakeAll(FairShare<string> share, string holder)
    {
        var taken = 0;
        while (share.TryTake(holder, 1))
        {
            taken++;
        }

        return taken;
    }
}
