using System.Threading.Tasks.Sources;
using P2PWeights.Store;
using P2PWeights.Store.Content;

namespace P2PWeights.Transfer.Paths.Tcp;

/// <summary>
/// A fetch that waits for its answer on a lane. Its buffer belongs to the receive loop from <see cref="TryBegin"/> to the end, and to nobody before, so a
/// cancellation can end a fetch that has not begun at once. Made once and used for many fetches: it belongs to its caller and to the lane, and may be
/// used again when both have let go of it. It is its own work item, so that its caller goes on on another thread than the receive loop's and nothing is made for that.
/// </summary>
internal sealed class PendingFetch(DataLane lane) : IValueTaskSource<FetchOutcome>, IThreadPoolWorkItem
{
    private const int Waiting = 0;
    private const int Begun = 1;
    private const int Abandoned = 2;

    private ManualResetValueTaskSourceCore<FetchOutcome> _source;
    private FetchOutcome _outcome;
    private bool _isCancelled;
    private ShardWrite _write;
    private Action<int>? _received;
    private int _state;
    private int _ended;
    private int _owners;

    /// <summary>Number of its request on the lane.</summary>
    public uint Id { get; private set; }

    public ShardInfo Shard { get; private set; }

    public CancellationToken Cancelled { get; private set; }

    /// <summary>Where the bytes go.</summary>
    public Memory<byte> Buffer => _write.Buffer;

    /// <summary>Ends when the buffer is no longer written to. To be awaited once.</summary>
    public ValueTask<FetchOutcome> Outcome => new(this, _source.Version);

    public bool IsAbandoned => Volatile.Read(ref _state) == Abandoned;

    /// <summary>A new fetch, for its caller and its lane.</summary>
    public void Start(uint id, ShardWrite write, Action<int> received, CancellationToken cancelled)
    {
        (Id, Shard, _write, _received, Cancelled) = (id, write.Shard, write, received, cancelled);
        (_state, _ended, _owners) = (Waiting, 0, 2);
        (_outcome, _isCancelled) = (default, false);
        _source.Reset();
    }

    /// <summary>One of the two owners is through with it.</summary>
    public void LetGo()
    {
        if (Interlocked.Decrement(ref _owners) == 0)
        {
            (_write, _received, Cancelled) = (default, null, default);
            lane.TakeBack(this);
        }
    }

    /// <summary>The receive loop takes the buffer; false when the fetch was abandoned.</summary>
    public bool TryBegin() => Interlocked.CompareExchange(ref _state, Begun, Waiting) == Waiting;

    /// <summary>
    /// Its owner gives it up. One that has not begun ends at once, its answer still comes and is thrown away; when its payload is on the way already, the receive loop sees the
    /// token itself.
    /// </summary>
    public void GiveUp()
    {
        if (Interlocked.CompareExchange(ref _state, Abandoned, Waiting) == Waiting)
        {
            EndCancelled();
            lane.Cancel(Id);
        }
    }

    public void Received(int bytes) => _received!(bytes);

    /// <summary>The first end counts.</summary>
    public void End(FetchOutcome outcome)
    {
        if (Interlocked.Exchange(ref _ended, 1) == 0)
        {
            _outcome = outcome;
            ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
        }
    }

    public void EndCancelled()
    {
        if (Interlocked.Exchange(ref _ended, 1) == 0)
        {
            _isCancelled = true;
            ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
        }
    }

    void IThreadPoolWorkItem.Execute()
    {
        if (_isCancelled)
        {
            _source.SetException(new OperationCanceledException(Cancelled));
        }
        else
        {
            _source.SetResult(_outcome);
        }
    }

    FetchOutcome IValueTaskSource<FetchOutcome>.GetResult(short token) => _source.GetResult(token);

    ValueTaskSourceStatus IValueTaskSource<FetchOutcome>.GetStatus(short token) => _source.GetStatus(token);

    void IValueTaskSource<FetchOutcome>.OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _source.OnCompleted(continuation, state, token, flags);
}
