using P2PWeights.Tracker.Catalog;

namespace P2PWeights.Tracker.Tests.Catalog;

public sealed class CatalogStateTests
{
    [Fact]
    public void Apply_change_that_is_not_the_next_is_refused()
    {
        var state = CatalogState.Empty.Apply(Publish(1, "v1"));
        Assert.Throws<InvalidDataException>(() => state.Apply(Publish(1, "v2")));
        Assert.Throws<InvalidDataException>(() => state.Apply(Publish(3, "v2")));
        Assert.Throws<InvalidDataException>(() => state.Apply(Publish(2, "v1")));
        Assert.Throws<InvalidDataException>(() => state.Apply(new RemoveOperation(2, "m", "v2")));
        Assert.Throws<InvalidDataException>(() => state.Apply(new TagOperation(2, "m", "latest", "v2")));
    }

    [Fact]
    public void References_count_the_versions_of_a_manifest()
    {
        var manifest = Make.Digest("same");
        var state = CatalogState.Empty.Apply(Publish(1, "v1")).Apply(Publish(2, "v2"));
        Assert.Equal(2, state.References[manifest]);
        state = state.Apply(new RemoveOperation(3, "m", "v1"));
        Assert.Equal(1, state.References[manifest]);
        state = state.Apply(new RemoveOperation(4, "m", "v2"));
        Assert.Empty(state.References);
        Assert.Empty(state.Entries);
    }

    [Fact]
    public void EventsAfter_gives_what_was_missed_bounded_and_everything_to_whom_is_from_elsewhere()
    {
        var state = CatalogState.Empty;
        for (var i = 1; i <= CatalogState.KeptEvents + 100; i++)
        {
            state = state.Apply(Publish(i, $"v{i}"));
        }

        Assert.Empty(state.EventsAfter(state.LastNumber));
        Assert.Equal([state.LastNumber], state.EventsAfter(state.LastNumber - 1).Select(happened => happened.Number));
        Assert.Equal(CatalogState.EventsPerAnswer, state.EventsAfter(0).Length);
        Assert.Equal(101, state.EventsAfter(0)[0].Number);
        Assert.Equal(301, state.EventsAfter(300)[0].Number);
        Assert.Equal(101, state.EventsAfter(long.MaxValue)[0].Number);
    }

    [Theory]
    [InlineData("qwen3-8b@v1", "qwen3-8b@v1", 0)]
    [InlineData("QWEN3-8b@v1", "qwen3-8b@v1", 0)]
    [InlineData("qwen-8b@v1", "qwen3-8b@v1", 1)]
    [InlineData("abc", "", 3)]
    [InlineData("kitten", "sitting", 3)]
    public void Distance_counts_edits(string left, string right, int expected)
    {
        Assert.Equal(expected, ClosestNames.Distance(left, right));
        Assert.Equal(expected, ClosestNames.Distance(right, left));
    }

    [Fact]
    public void ClosestNames_best_first_at_most_five_nothing_far_off()
    {
        string[] names = ["m@v10", "m@v1", "m@v2", "other-model@step-20000", "m@v11", "m@v12", "m@v13"];
        Assert.Equal(["m@v1", "m@v10", "m@v11", "m@v12", "m@v13"], ClosestNames.To("m@v1x", names));
        Assert.Empty(ClosestNames.To("zzzzzzzz@9", names));
    }

    private static PublishOperation Publish(long number, string version) =>
        new(number, "m", new PublishedVersion(version, Make.Digest("same"), 1, 1, 1, DateTimeOffset.UnixEpoch));
}
