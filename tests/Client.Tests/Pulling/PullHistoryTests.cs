using P2PWeights.Client.Pulling;
using P2PWeights.Store.Content;
using P2PWeights.Transfer;

namespace P2PWeights.Client.Tests.Pulling;

public sealed class PullHistoryTests
{
    private readonly PullHistory _history = new(TimeProvider.System);

    [Fact]
    public void Newest_pull_is_explained_and_running_ones_come_first()
    {
        End("m@v1", "/first", PullState.Failed, "no peers");
        End("m@v1", "/second", PullState.Done, null);
        Assert.Equal(("/second", PullState.Done), Explain("m@v1"));

        var running = _history.Enter("m@v1", "/third");
        End("m@v1", "/fourth", PullState.Done, null);
        Assert.Equal(("/third", PullState.Running), Explain("m@v1"));

        running.End(PullState.Cancelled, null);
        _history.Leave(running);
        Assert.Equal(("/third", PullState.Cancelled), Explain("m@v1"));
    }

    [Fact]
    public void Pull_is_found_by_the_tag_it_was_asked_for_by_and_by_the_version_it_was_of()
    {
        var pull = _history.Enter("m@latest", null);
        pull.Resolved("m@v7", Digest.Parse(new string('a', 64)));

        Assert.Equal("m@v7", _history.Explain(Name("m@latest")).Checkpoint);
        Assert.Equal("m@v7", _history.Explain(Name("m@v7")).Checkpoint);
    }

    [Fact]
    public void Pull_that_nobody_remembers_is_not_found_and_the_message_names_others()
    {
        Assert.Contains("there was none yet", Assert.Throws<NodeException>(() => Explain("m@v1")).Message, StringComparison.Ordinal);
        End("other@v1", null, PullState.Done, null);

        var failure = Assert.Throws<NodeException>(() => Explain("m@v1"));

        Assert.Equal(NodeError.NotFound, failure.Error);
        Assert.Contains("other@v1", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Only_the_last_pulls_are_kept()
    {
        for (var pull = 0; pull <= PullHistory.Kept; pull++)
        {
            End($"m@v{pull}", null, PullState.Done, null);
        }

        Assert.Throws<NodeException>(() => Explain("m@v0"));
        Assert.Equal((null, PullState.Done), Explain("m@v1"));
        Assert.Empty(_history.Running);
    }

    [Fact]
    public void Phases_divide_the_time_and_a_failure_is_told()
    {
        var pull = _history.Enter("m@v1", "/target");
        pull.Enter(PullPhases.Checking);
        pull.Enter(PullPhases.Fetching);
        pull.End(PullState.Failed, "no peers");

        var explained = pull.Explain();

        Assert.Equal([PullPhases.Resolving, PullPhases.Checking, PullPhases.Fetching], explained.Phases.Select(phase => phase.Name));
        Assert.Equal(explained.Elapsed, explained.Phases.Aggregate(TimeSpan.Zero, (sum, phase) => sum + phase.Elapsed));
        Assert.Equal("no peers", explained.Failure);
    }

    [Theory]
    [InlineData(PullPhases.Fetching, PullTerms.Wire)]
    [InlineData(PullPhases.Checking, PullPhases.Checking)]
    [InlineData(PullPhases.Completing, PullPhases.Completing)]
    [InlineData(PullPhases.Resolving, PullPhases.Resolving)]
    public void Limit_of_the_whole_is_the_longest_part(string longest, string term)
    {
        string[] names = [PullPhases.Resolving, PullPhases.Checking, PullPhases.Fetching, PullPhases.Completing];
        PullPhase[] phases = [.. names.Select(name => new PullPhase(name, TimeSpan.FromSeconds(name == longest ? 7 : 1)))];
        var transfer = new PullLimit(PullTerms.Wire, "tcp", 0.9, "network (tcp)", "more sources", 0, [new StageReport(PullTerms.Wire, "tcp", 3, 0.9)]);

        var limit = PhaseLimit.Find(phases, TimeSpan.FromSeconds(10), transfer)!;

        Assert.Equal(term, limit.Term);
        Assert.NotEmpty(limit.Help);
        Assert.Equal(transfer.Stages, limit.Stages);
    }

    private void End(string checkpoint, string? folder, PullState state, string? failure)
    {
        var pull = _history.Enter(checkpoint, folder);
        pull.End(state, failure);
        _history.Leave(pull);
    }

    private static CheckpointName Name(string text) => CheckpointName.TryParse(text, out var name, out var problem) ? name : throw new FormatException(problem);

    private (string? Folder, PullState State) Explain(string checkpoint)
    {
        var explained = _history.Explain(Name(checkpoint));
        return (explained.Folder, explained.State);
    }
}
