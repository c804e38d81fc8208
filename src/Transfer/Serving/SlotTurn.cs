using System.Threading.Tasks.Sources;
using P2PWeights.Transfer.Swarms;

namespace P2PWeights.Transfer.Serving;

/// <summary>One upload lane's wait for a slot, used again for each shard; nothing is allocated per wait. Owned by the lane; who grants and the timer come from other threads.</summary>
internal sealed class SlotTurn : IUploadWaiter, IValueTaskSource<bool>, IDisposable
{
    private readonly UploadSlots _slots;
    private readonly ITimer _timer;
    private ManualResetValueTaskSourceCore<bool> _source = new() { RunContinuationsAsynchronously = true };

    public SlotTurn(UploadSlots slots, Guid peer, TimeProvider time)
    {
        (_slots, Peer) = (slots, peer);
        _timer = time.CreateTimer(static turn => ((SlotTurn)turn!).GiveUp(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    public Guid Peer { get; }

    /// <summary>Takes a slot; false when none came free in time. One call at a time.</summary>
    public ValueTask<bool> TakeAsync()
    {
        _source.Reset();
        if (_slots.TakeOrWait(this))
        {
            return new ValueTask<bool>(true);
        }

        _timer.Change(_slots.Patience, Timeout.InfiniteTimeSpan);
        return new ValueTask<bool>(this, _source.Version);
    }

    /// <summary>Ends the wait, if there is one.</summary>
    public void GiveUp()
    {
        if (_slots.GiveUp(this))
        {
            _source.SetResult(false);
        }
    }

    public void Granted() => _source.SetResult(true);

    public void Dispose() => _timer.Dispose();

    bool IValueTaskSource<bool>.GetResult(short token) => _source.GetResult(token);

    ValueTaskSourceStatus IValueTaskSource<bool>.GetStatus(short token) => _source.GetStatus(token);

    void IValueTaskSource<bool>.OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _source.OnCompleted(continuation, state, token, flags);
}
