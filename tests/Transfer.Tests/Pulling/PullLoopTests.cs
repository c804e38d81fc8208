using P2PWeights.Transfer.Pulling;

namespace P2PWeights.Transfer.Tests.Pulling;

public sealed class PullLoopTests
{
    [Fact]
    public async Task Loop_that_is_stopped_by_what_it_carries_out_ends()
    {
        using var stop = new CancellationTokenSource();
        var loop = new PullLoop(TimeProvider.System) { Stopping = stop.Token };

        // The post that tells the loop of its end is read in the same batch as this one.
        loop.Post(stop.Cancel);

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => loop.RunUntilAsync(() => false, () => { }).WaitAsync(TestNode.Deadline));
    }
}
