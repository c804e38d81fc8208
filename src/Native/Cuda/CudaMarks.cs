using System.Collections.Concurrent;
using P2PWeights.Native.Cuda.Imports;

namespace P2PWeights.Native.Cuda;

/// <summary>
/// Watches marks in streams: one thread asks the driver whether the oldest mark of each stream is reached, because a bucket may take less than a millisecond and everything waits for it:
/// without a pause at first, then with naps (<see cref="SpinThenNap"/>), so that long copies keep no core busy; it sleeps when there is nothing to watch. Events are used again. A mark that is never reached holds up
/// those behind it in its stream, and nobody else; a driver that does not return from being asked holds up all.
/// </summary>
public sealed class CudaMarks : IDisposable
{
    private static readonly TimeSpan EndTime = TimeSpan.FromSeconds(5);

    private readonly ConcurrentQueue<(CudaStream Stream, Mark? Mark)> _added = new();
    private readonly SemaphoreSlim _anything = new(0);
    private readonly ConcurrentDictionary<CudaDevice, ConcurrentBag<CudaEvent>> _spare = new();
    private readonly Thread _watcher;
    private volatile bool _stopping;

    public CudaMarks()
    {
        _watcher = new Thread(Watch) { IsBackground = true, Name = "p2pw cuda marks" };
        _watcher.Start();
    }

    /// <summary>Gives copies to a stream, and ends when they are done. One of them that fails keeps this until those given before it have ended: their bytes must stay as long.</summary>
    /// <param name="give">Gives them; whoever calls sees to it that nobody else gives to the stream meanwhile.</param>
    /// <exception cref="NativeException">The device failed; nothing of this is under way any more.</exception>
    /// <exception cref="LostCopiesException">The device failed; some of this may be under way.</exception>
    public async Task CopyAsync(CudaStream stream, Action<CudaStream> give)
    {
        var mark = Take(stream.Device);
        NativeException? failure = null;
        try
        {
            give(stream);
        }
        catch (NativeException caught)
        {
            failure = caught;
        }

        if (Add(stream, mark, out var reached) is { } unmarked)
        {
            throw new LostCopiesException(failure ?? unmarked);
        }

        await reached.ConfigureAwait(false);
        if (failure is not null)
        {
            throw failure;
        }
    }

    /// <summary>An event for <see cref="AddAsync(CudaStream, CudaEvent?)"/>, to be taken before copies are given: where there is none, nothing is under way yet.</summary>
    /// <exception cref="NativeException">The device failed.</exception>
    public CudaEvent Take(CudaDevice device) => _spare.GetOrAdd(device, _ => []).TryTake(out var used) ? used : CudaEvent.Create(device);

    /// <summary>
    /// Completes when the stream has done everything that it was given so far; fails with <see cref="NativeException"/> when some of it failed. Throws nothing itself: where the stream takes no mark,
    /// nobody can tell when its copies end, so this never completes, as with a device that stalls. Callers have deadlines.
    /// </summary>
    /// <param name="taken">From <see cref="Take"/>, and given back; null to take one now.</param>
    public Task AddAsync(CudaStream stream, CudaEvent? taken = null)
    {
        Add(stream, taken, out var reached);
        return reached;
    }

    /// <summary>Stops to watch a stream whose device no longer answers: its marks never complete.</summary>
    public void Forget(CudaStream stream)
    {
        _added.Enqueue((stream, null));
        _anything.Release();
    }

    /// <summary>Stops to watch; marks that are not reached by now never complete.</summary>
    public void Dispose()
    {
        _stopping = true;
        _anything.Release();
        if (!_watcher.Join(EndTime))
        {
            // It waits in the driver for a device that stopped, as would whoever destroys its events.
            GivenUpMemory.Keep((_spare, _added));
            return;
        }

        foreach (var spare in _spare.Values.SelectMany(bag => bag))
        {
            spare.Dispose();
        }

        _anything.Dispose();
    }

    private void Watch()
    {
        var waiting = new Dictionary<CudaStream, Queue<Mark>>();
        var emptied = new List<CudaStream>();
        var pace = new SpinThenNap(TimeProvider.System, () => SpinThenNap.Nap());
        while (!_stopping)
        {
            if (waiting.Count == 0)
            {
                _anything.Wait();
            }

            var hasGotOn = false;
            while (_added.TryDequeue(out var added))
            {
                hasGotOn = true;
                if (added.Mark is null)
                {
                    // Kept, because events are destroyed by finalizers otherwise, which then wait for the device.
                    if (waiting.Remove(added.Stream, out var forgotten))
                    {
                        GivenUpMemory.Keep(forgotten);
                    }

                    continue;
                }

                if (!waiting.TryGetValue(added.Stream, out var marks))
                {
                    waiting[added.Stream] = marks = new Queue<Mark>();
                }

                marks.Enqueue(added.Mark);
            }

            foreach (var (stream, marks) in waiting)
            {
                while (marks.TryPeek(out var oldest) && IsOver(oldest))
                {
                    hasGotOn = true;
                    marks.Dequeue();
                    _spare[stream.Device].Add(oldest.Event);
                }

                if (marks.Count == 0)
                {
                    emptied.Add(stream);
                }
            }

            emptied.ForEach(stream => waiting.Remove(stream));
            emptied.Clear();
            if (waiting.Count > 0)
            {
                pace.Pause(hasGotOn);
            }
        }
    }

    /// <summary>As <see cref="AddAsync"/>.</summary>
    /// <param name="reached">Completes with the mark: never when the stream takes none.</param>
    /// <returns>Why it takes none; null when it does.</returns>
    private NativeException? Add(CudaStream stream, CudaEvent? taken, out Task reached)
    {
        var mark = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        reached = mark.Task;
        try
        {
            taken ??= Take(stream.Device);
            taken.Record(stream);
            _added.Enqueue((stream, new Mark(taken, mark)));
            _anything.Release();
            return null;
        }
        catch (Exception failure) when (failure is NativeException or ObjectDisposedException)
        {
            // The stream of a device that stopped may have been given up meanwhile.
            GivenUpMemory.Keep((stream, taken));
            return failure as NativeException ?? new NativeException(Cu.Name, "cuEventRecord", 0, failure.Message, stream.Device.Name);
        }
    }

    private static bool IsOver(Mark mark)
    {
        try
        {
            if (!mark.Event.IsReached())
            {
                return false;
            }

            mark.Reached.TrySetResult();
        }
        catch (NativeException failure)
        {
            mark.Reached.TrySetException(failure);
        }

        return true;
    }

    private sealed record Mark(CudaEvent Event, TaskCompletionSource Reached);
}
