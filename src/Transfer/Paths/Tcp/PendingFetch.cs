using P2PWeights.Store;
using P2PWeights.Store.Content;

namespace P2PWeights.Transfer.Paths.Tcp;

/// <summary>
/// A fetch that waits for its answer on a lane. Its buffer belongs to the receive loop from <see cref="TryBegin"/> to the end, and to nobody before, so a
/// cancellation can end a fetch that has not begun at once.
/// </summary>
internal sealed class PendingFetch(ShardWrite write, Action<int> received, CancellationToken cancelled)
{
    private const int Waiting = 0;
    private const int Begun = 1;
    private const int Abandoned = 2;

    private readonly TaskCompletionSource<FetchOutcome> _outcome = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _state = Waiting;

    public ShardInfo Shard { get; } = write.Shard;

    public Memory<byte> Buffer => write.Buffer;

    public CancellationToken Cancelled => cancelled;

    /// <summary>Ends when the buffer is no longer written to.</summary>
    public Task<FetchOutcome> Outcome => _outcome.Task;

    public bool IsAbandoned => Volatile.Read(ref _state) == Abandoned;

    /// <summary>The receive loop takes the buffer; false when the fetch was abandoned.</summary>
    public bool TryBegin() => Interlocked.CompareExchange(ref _state, Begun, Waiting) == Waiting;

    /// <summary>Gives up a fetch that has not begun; its answer still comes and is thrown away.</summary>
    public bool TryAbandon()
    {
        if (Interlocked.CompareExchange(ref _state, Abandoned, Waiting) != Waiting)
        {
            return false;
        }

        _outcome.TrySetCanceled(cancelled);
        return true;
    }

    public void Received(int bytes) => received(bytes);

    public void End(FetchOutcome outcome) => _outcome.TrySetResult(outcome);

    public void EndCancelled() => _outcome.TrySetCanceled(cancelled);
}
