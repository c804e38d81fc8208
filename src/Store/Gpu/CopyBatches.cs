using System.Diagnostics;

namespace P2PWeights.Store.Gpu;

/// <summary>
/// Gathers what is asked for while two batches are under way, and has it done as one batch when the first of them ends: a device always has its next work before it has ended the last, and what
/// is done once per batch (taking the driver's lock, an event, waking those who wait) is not done for every copy. Nobody waits for others to ask: what is asked for when a lane is idle goes at
/// once. Thread-safe.
/// </summary>
/// <param name="run">Does a batch on a lane, which has one at a time; begins it before it returns. It is told off when the task ends, and all of the batch share its failure.</param>
internal sealed class CopyBatches<T>(Func<int, IReadOnlyList<T>, Task> run)
{
    /// <summary>Batches under way at the same time.</summary>
    public const int Lanes = 2;

    private readonly Lock _gate = new();
    private readonly Stack<int> _idle = new(Enumerable.Range(0, Lanes));
    private Batch? _next;
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
            batch = _next ??= new Batch();
            batch.Items.Add(item);
            if (!_idle.TryPop(out lane))
            {
                return batch.Done.Task;
            }

            if (_idle.Count == Lanes - 1)
            {
                _busySince = Stopwatch.GetTimestamp();
            }

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
            if (_next is not null)
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

    private Batch TakeNext()
    {
        var taken = _next!;
        _next = null;
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
