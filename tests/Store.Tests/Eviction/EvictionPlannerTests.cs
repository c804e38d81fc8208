using FsCheck;
using FsCheck.Fluent;
using P2PWeights.Store.Content;
using P2PWeights.Store.Eviction;
using P2PWeights.Store.Hashing;

namespace P2PWeights.Store.Tests.Eviction;

public sealed class EvictionPlannerTests
{
    private static readonly Arbitrary<(EvictionCandidate[] Candidates, int ToFree)> Cases =
        (from parts in (from bytes in Gen.Choose(1, 1000)
                        from lastUse in Gen.Choose(0, 50)
                        from kept in Gen.Choose(0, 3)
                        from others in Gen.Choose(0, 3)
                        select (bytes, lastUse, kept, others)).ArrayOf()
         from toFree in Gen.Choose(-10, 20_000)
         select (parts.Select((part, i) => Candidate(i, part.bytes, part.lastUse, part.kept == 0, part.others)).ToArray(), toFree)).ToArbitrary();

    [Fact]
    public void Plan_frees_enough_or_all_that_may_go_and_no_more_than_needed() => Prop.ForAll(Cases, test =>
    {
        var plan = EvictionPlanner.Plan(test.Candidates, test.ToFree);

        var freed = plan.Sum(victim => victim.Bytes);
        Assert.Equal(plan.Count, plan.Select(victim => victim.Digest).Distinct().Count());
        Assert.DoesNotContain(plan, victim => victim.Kept);
        if (freed < test.ToFree)
        {
            Assert.Equal(test.Candidates.Count(candidate => !candidate.Kept), plan.Count);
        }
        else if (plan.Count > 0)
        {
            Assert.True(freed - plan[^1].Bytes < test.ToFree, "the last victim was not needed");
        }
    }).QuickCheckThrowOnFailure();

    [Fact]
    public void Plan_takes_the_least_recently_used_and_last_replicas_only_after_all_others() => Prop.ForAll(Cases, test =>
    {
        var plan = EvictionPlanner.Plan(test.Candidates, test.ToFree);

        var spared = test.Candidates.Where(candidate => !candidate.Kept && !plan.Contains(candidate)).ToList();
        foreach (var victim in plan)
        {
            foreach (var other in spared)
            {
                Assert.True(
                    (victim.OtherReplicas == 0, victim.LastUse).CompareTo((other.OtherReplicas == 0, other.LastUse)) <= 0,
                    $"{victim} went before {other}");
            }
        }
    }).QuickCheckThrowOnFailure();

    [Fact]
    public void Plan_does_not_depend_on_the_order_of_the_candidates() => Prop.ForAll(Cases, test =>
        Assert.Equal(
            EvictionPlanner.Plan(test.Candidates, test.ToFree),
            EvictionPlanner.Plan(test.Candidates.Reverse(), test.ToFree))).QuickCheckThrowOnFailure();

    [Theory]
    [InlineData(100, 100, 10, 0.9, 20)] // full: down to 90 with the new shard in
    [InlineData(50, 100, 10, 0.9, 10)] // fragmented: at least what is needed
    [InlineData(100, 100, 10, 1.0, 10)]
    public void Bytes_to_free_reach_the_low_watermark(long used, long quota, long needed, double lowWatermark, long expected) =>
        Assert.Equal(expected, EvictionPlanner.BytesToFree(used, quota, needed, lowWatermark));

    private static EvictionCandidate Candidate(int number, long bytes, long lastUse, bool kept, int others) =>
        new(Blake3.Hash(BitConverter.GetBytes(number)), bytes, lastUse, kept, others);
}
