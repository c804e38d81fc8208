using System.Diagnostics;

namespace P2PWeights.Store.Gpu;

/// <summary>
/// Gathers what is asked for while two batches are under way, and has it done as one batch when the first of them ends: a device always has its next work before it has ended the last, and what
/// is done once per batch (taking the driver's lock, an event, waking those who wait) is not done for every copy. Nobody waits for others to ask: what is asked for when a lane is idle goes at
/// once. Thread-safe.
/// </summary>
/// <param name="run">Does a batch on a lane, which has one at a time; begins it before it returns, and leaves the list as it is. It is told off when the task ends, and all of the batch share its failure.</param>
internal sealed class CopyBatches<T>(Func<int, List<T>, Task> run)
{
    /// <summary>Batches under way at the same time.</summary>
    public const int Lanes = 2;

    /// <summary>
    /// Copies in one batch at most. Without a bound one batch soon has nearly all that is asked for at a time, and those who wait for it ask again only when the device has nothing left to do:
    /// 341 GB/s of 391, with eight of 16 MiB 380 (2 H200).
    /// </summary>
    public const int Most = 8;

    private readonly Lock _gate = new();
    private readonly Stack<int> _idle = new(Enumerable.Range(0, Lanes));

    /// <summary>Not begun, the oldest first; only the last may have room.</summary>
    private readonly Queue<Batch> _waiting = new();
    private Batch? _last;
    private long _copies;
    private long _batches;
    private long _busySince;
    private long _busy;

    /// <summary>What was begun so far, and how long at least one lane had something to do.</summary>
    public GpuCopies Counts
    {
        get
        {
            lock (_gate)
            {
                var busy = _idle.Count < Lanes ? _busy + Stopwatch.GetTimestamp() - _busySince : _busy;
                return new GpuCopies(_copies, _batches, Stopwatch.GetElapsedTime(0, busy));
            }
        }
    }

    /// <summary>Ends when the batch that it goes with has ended, in the same way.</summary>
    public Task AddAsync(T item)
    {
        Batch batch;
        int lane;
        lock (_gate)
        {
            batch = _last is { Items.Count: < Most } last ? last : Open();
            batch.Items.Add(item);
            if (!_idle.TryPop(out lane))
            {
                return batch.Done.Task;
            }

            if (_idle.Count == Lanes - 1)
            {
                _busySince = Stopwatch.GetTimestamp();
            }

            // A lane that is idle leaves nothing waiting: this is it.
            TakeNext();
        }

        _ = RunAsync(lane, batch);
        return batch.Done.Task;
    }

    /// <summary>Works until nothing is left to do. Never fails: failures are those of who asked.</summary>
    private async Task RunAsync(int lane, Batch batch)
    {
        var running = BeginAsync(lane, batch);
        while (true)
        {
            await running.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);

            // First the device's next work, then those who waited.
            var next = NextFor(lane);
            var ended = running;
            running = next is null ? Task.CompletedTask : BeginAsync(lane, next);
            batch.Done.SetFromTask(ended);
            if (next is null)
            {
                return;
            }

            batch = next;
        }
    }

    private async Task BeginAsync(int lane, Batch batch) => await run(lane, batch.Items).ConfigureAwait(false);

    private Batch? NextFor(int lane)
    {
        lock (_gate)
        {
            if (_waiting.Count > 0)
            {
                return TakeNext();
            }

            _idle.Push(lane);
            if (_idle.Count == Lanes)
            {
                _busy += Stopwatch.GetTimestamp() - _busySince;
            }

            return null;
        }
    }

    private Batch Open()
    {
        _last = new Batch();
        _waiting.Enqueue(_last);
        return _last;
    }

    private Batch TakeNext()
    {
        var taken = _waiting.Dequeue();
        _last = taken == _last ? null : _last;
        _copies += taken.Items.Count;
        _batches++;
        return taken;
    }

    private sealed class Batch
    {
        public List<T> Items { get; } = [];

        public TaskCompletionSource Done { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}
