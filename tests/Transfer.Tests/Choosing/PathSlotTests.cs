using P2PWeights.Transfer.Choosing;

namespace P2PWeights.Transfer.Tests.Choosing;

public sealed class PathSlotTests
{
    [Fact]
    public async Task Path_that_opens_slowly_holds_up_nobody_who_does_not_wait_for_it()
    {
        using var path = new SlowPath();
        var slot = new PathSlot(path, null!, TimeSpan.FromMinutes(1));
        try
        {
            var waiting = Task.Run(async () => await slot.BorrowAsync(TestNode.Deadline));
            await path.Begun.Task.WaitAsync(TestNode.Deadline);

            var impatient = Task.Run(async () => await slot.BorrowAsync(new CancellationToken(canceled: true)));
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => impatient.WaitAsync(TimeSpan.FromSeconds(30)));

            path.GoOn.Set();
            Assert.Equal("it is nowhere", (await waiting).Reason);
        }
        finally
        {
            path.GoOn.Set();
            await slot.DisposeAsync();
        }
    }

    /// <summary>Does all of its work before it first waits.</summary>
    private sealed class SlowPath : ITransferPath, IDisposable
    {
        public string Name => PathNames.Rdma;

        public TaskCompletionSource Begun { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public ManualResetEventSlim GoOn { get; } = new();

        public ValueTask<PathOpening> OpenAsync(PeerSession peer, CancellationToken cancellationToken)
        {
            Begun.SetResult();
            GoOn.Wait(cancellationToken);
            return ValueTask.FromResult(PathOpening.Unreachable("it is nowhere"));
        }

        public void Dispose() => GoOn.Dispose();
    }
}
