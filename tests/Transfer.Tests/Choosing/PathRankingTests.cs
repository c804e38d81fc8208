using P2PWeights.Transfer.Choosing;

namespace P2PWeights.Transfer.Tests.Choosing;

public sealed class PathRankingTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(2);
    private static readonly string[] Names = ["local", "rdma", "tcp"];
    private static readonly TimeSpan Second = TimeSpan.FromSeconds(1);

    [Fact]
    public void First_shard_proves_the_best_path_and_others_wait_for_it()
    {
        var ranking = Ranking();

        var proof = ranking.Choose(0, default);
        var other = ranking.Choose(0, Second);

        Assert.Equal((ChoiceKind.Use, 0, true), (proof.Kind, proof.Path, proof.IsProof));
        Assert.Equal((ChoiceKind.Wait, Patience), (other.Kind, other.Until));
        Assert.True(ranking.Succeeded(proof, Second));
        Assert.Equal((ChoiceKind.Use, 0, false), Use(ranking.Choose(0, Second)));
    }

    [Fact]
    public void Proof_that_takes_longer_than_the_patience_sends_others_by_the_next_path()
    {
        var ranking = Ranking();
        ranking.Choose(0, default);

        Assert.Equal((ChoiceKind.Use, 1, true), Use(ranking.Choose(0, Patience)));
        Assert.Equal(ChoiceKind.Wait, ranking.Choose(0, Patience).Kind);
    }

    [Fact]
    public void Last_path_is_not_waited_for_because_there_is_nothing_to_fall_to()
    {
        var ranking = new PathRanking(["tcp"], Patience, new Random(1));

        Assert.Equal((ChoiceKind.Use, 0, true), Use(ranking.Choose(0, default)));
        Assert.Equal((ChoiceKind.Use, 0, false), Use(ranking.Choose(0, default)));
    }

    [Fact]
    public void Failed_path_is_left_for_the_next_until_its_back_off_is_over_and_proves_itself_anew()
    {
        var ranking = Ranking();
        var demotion = ranking.Failed(ranking.Choose(0, default), FailureReasons.LaneLost, "the lane broke", default);

        Assert.NotNull(demotion);
        Assert.InRange(demotion.Until, 0.75 * Second, 1.25 * Second);
        var second = ranking.Choose(0, default);
        Assert.Equal(1, second.Path);
        ranking.Succeeded(second, default);
        Assert.Equal((ChoiceKind.Use, 1, false), Use(ranking.Choose(0, demotion.Until - TimeSpan.FromTicks(1))));

        var again = ranking.Choose(0, demotion.Until);
        Assert.Equal((ChoiceKind.Use, 0, true), Use(again));
        Assert.Equal((ChoiceKind.Use, 1, false), Use(ranking.Choose(0, demotion.Until)));
        Assert.True(ranking.Succeeded(again, demotion.Until));
        Assert.Null(ranking.DemotionOf(0));
        Assert.Equal((ChoiceKind.Use, 0, false), Use(ranking.Choose(0, demotion.Until)));
    }

    [Fact]
    public void Back_off_doubles_with_every_failure_up_to_a_minute()
    {
        var ranking = Ranking();
        var now = TimeSpan.Zero;
        foreach (var expected in new[] { 1, 2, 4, 8, 16, 32, 60, 60 })
        {
            var demotion = ranking.Failed(ranking.Choose(0, now), FailureReasons.Unreachable, "no", now)!;
            Assert.InRange((demotion.Until - now).TotalSeconds, 0.75 * expected, 1.25 * expected);
            now = demotion.Until;
        }
    }

    [Fact]
    public void Path_that_worked_for_long_starts_its_back_off_anew()
    {
        var ranking = Ranking();
        var now = TimeSpan.Zero;
        for (var failures = 0; failures < 5; failures++)
        {
            now = ranking.Failed(ranking.Choose(0, now), FailureReasons.LaneLost, "no", now)!.Until;
        }

        var proof = ranking.Choose(0, now);
        ranking.Succeeded(proof, now);
        now += TimeSpan.FromMinutes(2);

        Assert.InRange((ranking.Failed(proof, FailureReasons.LaneLost, "no", now)!.Until - now).TotalSeconds, 0.75, 1.25);
    }

    [Fact]
    public void Shards_that_were_under_way_when_the_path_failed_count_once()
    {
        var ranking = Ranking();
        var proof = ranking.Choose(0, default);
        ranking.Succeeded(proof, default);
        var first = ranking.Choose(0, default);
        var second = ranking.Choose(0, default);

        var demotion = ranking.Failed(first, FailureReasons.LaneLost, "broke", default);

        Assert.Null(ranking.Failed(second, FailureReasons.LaneLost, "broke", Second));
        Assert.False(ranking.Succeeded(proof, Second));
        Assert.Same(demotion, ranking.DemotionOf(0));
    }

    [Fact]
    public void Proof_that_says_nothing_is_left_to_the_next_shard()
    {
        var ranking = Ranking();

        ranking.Ended(ranking.Choose(0, default));

        Assert.Equal((ChoiceKind.Use, 0, true), Use(ranking.Choose(0, default)));
    }

    [Fact]
    public void Shard_that_failed_by_every_path_has_none_left()
    {
        var ranking = Ranking();
        var tried = 0u;
        for (var path = 0; path < 3; path++)
        {
            var choice = ranking.Choose(tried, default);
            Assert.Equal(path, choice.Path);
            tried |= choice.Bit;
            ranking.Failed(choice, FailureReasons.Unreachable, "no", default);
        }

        Assert.Equal(ChoiceKind.None, ranking.Choose(tried, default).Kind);
    }

    [Fact]
    public void Last_path_is_used_even_while_all_are_demoted()
    {
        var ranking = Ranking();
        for (var path = 0; path < 3; path++)
        {
            ranking.Demote(path, FailureReasons.Stall, "silent", default);
        }

        Assert.Equal((ChoiceKind.Use, 2, true), Use(ranking.Choose(0, default)));
    }

    [Theory]
    [InlineData("local", false)]
    [InlineData("rdma", false)]
    [InlineData("tcp", true)]
    public void Wrong_bytes_are_the_peers_where_the_peer_sends_and_the_paths_where_it_does_not(string path, bool isPeers)
    {
        var ranking = Ranking();
        var index = Array.IndexOf(Names, path);
        var choice = new PathChoice(ChoiceKind.Use, index, false, default, 0);

        Assert.Equal(isPeers, ranking.WrongBytes(choice, "another hash", default));
        Assert.Equal(FailureReasons.WrongBytes, ranking.DemotionOf(index)!.Reason);
    }

    [Fact]
    public void Wrong_bytes_by_a_second_path_are_the_peers()
    {
        var ranking = Ranking();

        Assert.False(ranking.WrongBytes(new PathChoice(ChoiceKind.Use, 0, false, default, 0), "another hash", default));
        Assert.True(ranking.WrongBytes(new PathChoice(ChoiceKind.Use, 1, false, default, 0), "another hash", default));
    }

    [Fact]
    public void Wrong_bytes_by_the_only_path_are_the_peers()
    {
        var ranking = new PathRanking(["rdma"], Patience, new Random(1));

        Assert.True(ranking.WrongBytes(ranking.Choose(0, default), "another hash", default));
    }

    private static PathRanking Ranking() => new(Names, Patience, new Random(1));

    private static (ChoiceKind Kind, int Path, bool IsProof) Use(PathChoice choice) => (choice.Kind, choice.Path, choice.IsProof);
}
