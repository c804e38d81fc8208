using P2PWeights.Tracker.Swarms;

namespace P2PWeights.Tracker.Tests.Swarms;

public sealed class NeighbourPlannerTests
{
    [Fact]
    public void Choose_fewer_candidates_than_asked_for_takes_all()
    {
        NeighbourCandidate[] candidates = [new(3, 0, 0), new(5, 3, 10)];
        Assert.Equal([3, 5], NeighbourPlanner.Choose(candidates, 16, new Random(1)));
        Assert.Empty(NeighbourPlanner.Choose([], 16, new Random(1)));
        Assert.Empty(NeighbourPlanner.Choose(candidates, 0, new Random(1)));
    }

    [Fact]
    public void Choose_takes_the_nearest_the_most_complete_and_others()
    {
        // 1000 peers: 0 to 2 on the same host, 10 to 209 complete, the rest with nothing.
        NeighbourCandidate[] candidates = [.. Enumerable.Range(0, 1000).Select(i => new NeighbourCandidate(i, i < 3 ? 3 : 0, i is >= 10 and < 210 ? 100 : 0))];

        var chosen = NeighbourPlanner.Choose(candidates, 16, new Random(1));

        Assert.Equal(16, chosen.Distinct().Count());
        Assert.Equal([0, 1, 2], chosen.Where(i => i < 3).Order());
        Assert.InRange(chosen.Count(i => i is >= 10 and < 210), 6, 10);
        Assert.InRange(chosen.Count(i => i >= 210), 1, 7);
    }

    [Fact]
    public void Choose_same_host_goes_before_same_rack_before_same_zone()
    {
        NeighbourCandidate[] candidates = [.. Enumerable.Range(0, 100).Select(i => new NeighbourCandidate(i, i < 2 ? 3 : i < 4 ? 2 : i < 50 ? 1 : 0, 0))];
        Assert.Equal([0, 1, 2, 3], NeighbourPlanner.Choose(candidates, 16, new Random(1))[..4].Order());
    }

    [Fact]
    public void Choose_few_that_hold_the_most_become_neighbours_of_a_bounded_number_of_peers()
    {
        NeighbourCandidate[] candidates = [.. Enumerable.Range(0, 4000).Select(i => new NeighbourCandidate(i, 0, i == 77 ? 100 : i % 50))];
        var random = new Random(42);
        var asked = Enumerable.Range(0, 4000).Count(_ => NeighbourPlanner.Choose(candidates, 16, random).Contains(77));

        // 64 as the one that holds the most and 16 at random, on average; standard deviation 9.
        Assert.InRange(asked, 40, 130);
    }

    [Fact]
    public void Choose_gives_a_small_swarm_the_only_one_that_holds_everything()
    {
        NeighbourCandidate[] candidates = [.. Enumerable.Range(0, 40).Select(i => new NeighbourCandidate(i, 0, i == 7 ? 100 : 0))];
        Assert.All(Enumerable.Range(0, 50), seed => Assert.Contains(7, NeighbourPlanner.Choose(candidates, 16, new Random(seed))));
    }

    [Fact]
    public void Choose_equals_are_drawn_evenly()
    {
        NeighbourCandidate[] candidates = [.. Enumerable.Range(0, 64).Select(i => new NeighbourCandidate(i, 0, 1))];
        var random = new Random(42);
        var counts = new int[64];
        for (var i = 0; i < 4000; i++)
        {
            foreach (var index in NeighbourPlanner.Choose(candidates, 16, random))
            {
                counts[index]++;
            }
        }

        // 1000 each on average, standard deviation below 30.
        Assert.All(counts, count => Assert.InRange(count, 800, 1200));
    }
}
