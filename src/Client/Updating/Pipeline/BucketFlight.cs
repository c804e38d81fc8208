using System.Collections.Immutable;
using P2PWeights.Client.Engines;
using P2PWeights.Store;

namespace P2PWeights.Client.Updating.Pipeline;

/// <summary>One bucket on its way: in which slot, between which devices, from which leases. Its slot and leases come back when nobody copies and every engine has answered.</summary>
internal sealed class BucketFlight
{
    private readonly IReadOnlyDictionary<int, ShardLease> _leases;
    private readonly TaskCompletionSource _answered = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Lock _gate = new();
    private Task _late = Task.CompletedTask;
    private int _unanswered = 1;

    /// <param name="slotOffset">First byte of its slot, from the start of the slots.</param>
    /// <param name="lanes">The devices that take part; each brings one slice, in this order.</param>
    public BucketFlight(Bucket bucket, ImmutableArray<ShardPiece> pieces, long slotOffset, ImmutableArray<DeviceLane> lanes, IReadOnlyDictionary<int, ShardLease> leases)
    {
        (Bucket, Pieces, SlotOffset, Lanes, _leases) = (bucket, pieces, slotOffset, lanes, leases);
        Fills = new Task[lanes.Length];
        Arrivals = new Task[lanes.Length];
        Records = [.. bucket.Tensors.Select(placed => new TensorRecord(placed.Tensor.Name, placed.Tensor.DType, placed.Tensor.Shape, slotOffset + placed.Offset))];
    }

    public Bucket Bucket { get; }

    public ImmutableArray<ShardPiece> Pieces { get; }

    public long SlotOffset { get; }

    public ImmutableArray<DeviceLane> Lanes { get; }

    /// <summary>Its tensors, as engines are told of them.</summary>
    public ImmutableArray<TensorRecord> Records { get; }

    /// <summary>Per lane: completes when the device has its own slice, fails when it never will.</summary>
    public Task[] Fills { get; }

    /// <summary>Per lane: completes when the device has the whole bucket, or has failed (<see cref="DeviceLane.Failure"/>); fails when the update does.</summary>
    public Task[] Arrivals { get; }

    public ShardLease LeaseOf(int ordinal) => _leases[ordinal];

    /// <summary>The slice that a lane brings.</summary>
    public (long Start, long Length) SliceOf(DeviceLane lane) => Bucket.Slice(Lanes.Length, Lanes.IndexOf(lane));

    /// <summary>Completes when a lane has the whole bucket, or has failed.</summary>
    public Task ArrivalAt(DeviceLane lane) => Lanes.IndexOf(lane) is >= 0 and var index ? Arrivals[index] : Task.CompletedTask;

    /// <summary>Completes when every rank that was expected has answered.</summary>
    public Task Answered => _answered.Task;

    /// <summary>One more rank is told of the bucket.</summary>
    public void ExpectAnswer() => Interlocked.Increment(ref _unanswered);

    /// <summary>A rank has loaded the bucket, or never will. Called once more when no further answer is expected.</summary>
    public void Answer()
    {
        if (Interlocked.Decrement(ref _unanswered) == 0)
        {
            _answered.TrySetResult();
        }
    }

    /// <summary>
    /// A copy into the slot of a device that goes on did not end in time. What it writes one day are the bytes that lie there, as long as the slot holds this bucket, so it is kept
    /// until then.
    /// </summary>
    public void KeepSlot(Task copy)
    {
        lock (_gate)
        {
            _late = Task.WhenAll(_late, copy);
        }
    }

    /// <summary>When all have arrived: completes when the slot may hold another bucket, which may be never, and fails when a late copy did.</summary>
    public Task SlotIsFree => Volatile.Read(ref _late);

    public void ReturnLeases()
    {
        foreach (var lease in _leases.Values)
        {
            lease.Dispose();
        }
    }
}
