using P2PWeights.Store.Journals;

namespace P2PWeights.Store.Tests.Journals;

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
    public async Task Commit_that_ends_while_the_next_is_asked_for_makes_nothing_durable_that_comes_later()
    {
        var gates = Enumerable.Range(0, 4).Select(_ => new TaskCompletionSource()).ToArray();
        var commits = 0;
        var group = new CommitGroup(async _ => await gates[Interlocked.Increment(ref commits) - 1].Task);

        // Not to be cancelled, a wait is the commit itself: so it is seen here that the commit has ended.
        var first = group.CommitAsync(CancellationToken.None);
        FaultPoints.Watch(point =>
        {
            if (point == FaultPoint.CommitFoundRunning && gates[0].TrySetResult())
            {
                Assert.True(SpinWait.SpinUntil(() => first.IsCompleted, TimeSpan.FromSeconds(60)));
            }
        });
        var second = group.CommitAsync(StoreFixture.Deadline);
        gates[1].SetResult();
        await second;

        // What is appended from here on is durable only with a commit that begins after it.
        var third = group.CommitAsync(StoreFixture.Deadline);
        var fourth = group.CommitAsync(StoreFixture.Deadline);
        Assert.False(third.IsCompleted);
        Assert.False(fourth.IsCompleted);
        gates[2].SetResult();
        await third;
        Assert.False(fourth.IsCompleted);
        gates[3].SetResult();
        await fourth;
        Assert.Equal(4, commits);
    }

    [Fact]
    public async Task Commit_asked_for_when_the_one_before_has_ended_and_the_next_not_begun_is_the_next()
    {
        var gate = new TaskCompletionSource();
        var commits = 0;
        var group = new CommitGroup(async _ => await (Interlocked.Increment(ref commits) == 1 ? gate.Task : Task.CompletedTask));
        Task? between = null;
        FaultPoints.Watch(point => between = point == FaultPoint.NextCommitBegins ? group.CommitAsync(StoreFixture.Deadline) : between);

        var first = group.CommitAsync(StoreFixture.Deadline);
        var second = group.CommitAsync(StoreFixture.Deadline);
        gate.SetResult();
        await Task.WhenAll(first, second);
        await between!;
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
