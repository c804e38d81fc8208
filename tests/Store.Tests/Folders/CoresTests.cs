using P2PWeights.Store.Folders;

namespace P2PWeights.Store.Tests.Folders;

public sealed class CoresTests
{
    [Fact]
    public async Task Every_index_runs_once_and_every_state_is_disposed()
    {
        var runs = new int[1000];
        var open = 0;
        await Cores.ForAsync(runs.Length, 4, () => new State(() => Interlocked.Decrement(ref open), Interlocked.Increment(ref open)), (_, i) =>
        {
            Interlocked.Increment(ref runs[i]);
            return default;
        }, CancellationToken.None);
        Assert.All(runs, count => Assert.Equal(1, count));
        Assert.Equal(0, open);
    }

    [Fact]
    public async Task Lowest_failure_is_thrown_even_when_a_later_one_came_first()
    {
        var later = new TaskCompletionSource();
        var error = await Assert.ThrowsAsync<InvalidOperationException>(() => Cores.ForAsync(2, 2, () => new State(null, 0), async (_, i) =>
        {
            if (i == 1)
            {
                later.SetResult();
                throw new InvalidOperationException("1");
            }

            // With one core nobody runs beside this.
            if (Environment.ProcessorCount > 1)
            {
                await later.Task.WaitAsync(TimeSpan.FromSeconds(30));
            }

            throw new InvalidOperationException("0");
        }, CancellationToken.None));
        Assert.Equal("0", error.Message);
    }

    private sealed class State(Action? onDispose, int number) : IDisposable
    {
        public int Number => number;

        public void Dispose() => onDispose?.Invoke();
    }
}
