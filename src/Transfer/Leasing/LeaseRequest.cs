using P2PWeights.Store.Content;
using P2PWeights.Transfer.Wire;

namespace P2PWeights.Transfer.Leasing;

/// <summary>A request on a lease lane that waits for its answer. One that was given up stays open until the answer comes, which is then undone or thrown away.</summary>
/// <param name="asked">The type of the request.</param>
/// <param name="shard">With <see cref="FrameType.Locate"/>: the shard.</param>
/// <param name="kind">With <see cref="FrameType.Locate"/>: the kind of lease.</param>
/// <param name="sent">Timestamp taken before the request is sent.</param>
/// <param name="working">Called when the peer says that it is working on it; never once it was answered or given up, because what it speaks for may have another use by then.</param>
internal sealed class LeaseRequest(FrameType asked, ShardInfo shard, LeaseKind kind, long sent, Action? working)
{
    private readonly Lock _gate = new();
    private readonly TaskCompletionSource<object> _answer = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public FrameType Asked => asked;

    public ShardInfo Shard => shard;

    public LeaseKind Kind => kind;

    public long Sent => sent;

    /// <summary>The decoded message; for a Locate, a <see cref="LocateOutcome"/>.</summary>
    public Task<object> Answer => _answer.Task;

    public bool IsAbandoned => _answer.Task.IsCanceled;

    /// <summary>The peer is working on it, and has not taken too long.</summary>
    public void IsWorkedOn()
    {
        lock (_gate)
        {
            if (!_answer.Task.IsCompleted)
            {
                working?.Invoke();
            }
        }
    }

    /// <summary>False when the request was given up before.</summary>
    public bool TryAnswer(object answer) => _answer.TrySetResult(answer);

    /// <summary>False when it was answered before.</summary>
    public bool TryAbandon(CancellationToken cancelled)
    {
        lock (_gate)
        {
            return _answer.TrySetCanceled(cancelled);
        }
    }

    public void Fail(Exception reason) => _answer.TrySetException(reason);
}
