using P2PWeights.Transfer.Pulling;
using P2PWeights.Transfer.Pulling.Limits;

namespace P2PWeights.Transfer.Tests.Pulling.Limits;

public sealed class StageClockTests
{
    private static readonly string[] Paths = ["rdma", "tcp"];

    private readonly StageCounts _counts = new(Paths.Length);
    private readonly StageClock _clock;

    public StageClockTests() => _clock = new StageClock(_counts.Length);

    [Fact]
    public void Shards_in_a_stage_are_averaged_over_the_elapsed_time()
    {
        At(0, NoMore.WindowsFull);
        Enter(FetchStage.Asked, path: 1, shards: 6);
        Enter(FetchStage.Committing, path: 1, shards: 2);
        At(0, NoMore.WindowsFull);
        At(3, NoMore.WindowsFull);
        Leave(FetchStage.Asked, path: 1, shards: 6);
        At(3, NoMore.AllAsked);
        At(4, NoMore.AllAsked);

        var stages = _clock.Report(Paths);

        var wire = Assert.Single(stages, stage => stage.Term == PullTerms.Wire);
        var verify = Assert.Single(stages, stage => stage.Term == PullTerms.Verify);
        Assert.Equal(("tcp", 4.5), (wire.Path, wire.Shards));
        Assert.Equal(2, verify.Shards, 6);
        Assert.Equal(0.75 * 6 / 8, wire.Share, 6);
        Assert.Equal((0.75 * 2 / 8) + 0.25, verify.Share, 6);
        Assert.Same(wire, stages[0]);
    }

    [Theory]
    [InlineData(nameof(NoMore.Calling), PullTerms.Connect)]
    [InlineData(nameof(NoMore.NoHolder), PullTerms.Source)]
    [InlineData(nameof(NoMore.Busy), PullTerms.Slots)]
    [InlineData(nameof(NoMore.PutOff), PullTerms.PutOff)]
    public void Time_in_which_the_sources_forbid_more_is_theirs_whatever_is_under_way(string why, string term)
    {
        Enter(FetchStage.Asked, path: 0, shards: 1);
        At(0, Enum.Parse<NoMore>(why));
        At(10, NoMore.AllAsked);

        var first = _clock.Report(Paths)[0];

        Assert.Equal((term, 1.0), (first.Term, Math.Round(first.Share, 6)));
    }

    [Fact]
    public void Copies_and_other_pulls_have_their_time()
    {
        _clock.Advance(default, _counts, copies: 3, awaited: 1, windowFull: false, NoMore.AllAsked);
        _clock.Advance(TimeSpan.FromSeconds(1), _counts, copies: 0, awaited: 1, windowFull: true, NoMore.AllAsked);
        _clock.Advance(TimeSpan.FromSeconds(4), _counts, copies: 0, awaited: 0, windowFull: true, NoMore.AllAsked);

        var stages = _clock.Report(Paths);

        Assert.Equal(0.75, Assert.Single(stages, stage => stage.Term == PullTerms.OtherPull).Share, 6);
        Assert.Equal((0.75, 0.25), (Assert.Single(stages, stage => stage.Term == PullTerms.Copy).Shards, Assert.Single(stages, stage => stage.Term == PullTerms.Copy).Share));
        Assert.Equal(0.75, _clock.WindowFull, 6);
    }

    [Fact]
    public void Shares_of_all_stages_add_up_to_the_whole_time()
    {
        var random = new Random(7);
        for (var step = 0; step < 200; step++)
        {
            Enter((FetchStage)random.Next(4), path: random.Next(2), shards: random.Next(3));
            _clock.Advance(TimeSpan.FromMilliseconds(step * 13), _counts, random.Next(2), random.Next(2), random.Next(2) == 0, (NoMore)random.Next(5));
        }

        Assert.Equal(1, _clock.Report(Paths).Sum(stage => stage.Share), 6);
    }

    private void At(int second, NoMore why) => _clock.Advance(TimeSpan.FromSeconds(second), _counts, 0, 0, false, why);

    private void Enter(FetchStage stage, int path, int shards)
    {
        for (var shard = 0; shard < shards; shard++)
        {
            _counts.Enter(StageCounts.IndexOf(stage, path));
        }
    }

    private void Leave(FetchStage stage, int path, int shards)
    {
        for (var shard = 0; shard < shards; shard++)
        {
            _counts.Leave(StageCounts.IndexOf(stage, path));
        }
    }
}
