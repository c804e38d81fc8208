using P2PWeights.Store.Journals;

namespace P2PWeights.Store.Tests.Adopting;

public sealed class CommitGroupTests
{
    [Fact]
    public async Task What_is_asked_for_during_a_commit_shares_the_next_one()
    {
        var commits = 0;
        var gates = new[] { new TaskCompletionSource(), new TaskCompletionSource() };
        var group = new CommitGroup(async _ => await gates[Interlocked.Increment(ref commits) - 1].Task);

        var first = group.CommitAsync(StoreFixture.Deadline);
        var others = Enumerable.Range(0, 20).Select(_ => group.CommitAsync(StoreFixture.Deadline)).ToArray();
        gates[0].SetResult();
        await first;
        Assert.All(others, other => Assert.False(other.IsCompleted));
        gates[1].SetResult();
        await Task.WhenAll(others);

        Assert.Equal(2, commits);
    }

    [Fact]
    public async Task Failed_commit_fails_those_who_asked_for_it_and_no_others()
    {
        var fail = new TaskCompletionSource();
        var commits = 0;
        var group = new CommitGroup(async _ =>
        {
            if (Interlocked.Increment(ref commits) == 1)
            {
                await fail.Task;
            }
        });

        var first = group.CommitAsync(StoreFixture.Deadline);
        var second = group.CommitAsync(StoreFixture.Deadline);
        fail.SetException(new StoreException(StoreError.Io, "the disk failed"));

        await Assert.ThrowsAsync<StoreException>(() => first);
        await second;
    }
}
