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
    public async Task What_was_appended_before_a_commit_was_asked_for_is_durable_after_it()
    {
        var appended = 0;
        var durable = 0;
        var deadline = StoreFixture.Deadline;
        var commits = 0;
        var group = new CommitGroup(_ =>
        {
            Assert.Equal(1, Interlocked.Increment(ref commits));
            Volatile.Write(ref durable, Volatile.Read(ref appended));
            Interlocked.Decrement(ref commits);
            return ValueTask.CompletedTask;
        });

        await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Task.Run(async () =>
        {
            for (var i = 0; i < 20_000; i++)
            {
                var mine = Interlocked.Increment(ref appended);
                await group.CommitAsync(deadline);
                Assert.True(Volatile.Read(ref durable) >= mine);
            }
        })));
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
