using System.Collections.Concurrent;

namespace P2PWeights.Native.Cuda;

/// <summary>
/// Watches marks in streams: one thread asks the driver whether the oldest mark of each stream is reached, without a pause while copies are under way, because a bucket
/// may take less than a millisecond and everything waits for it; it sleeps when there is nothing to watch. Events are used again. A mark that is never reached holds up
/// those behind it in its stream, and nobody else.
/// </summary>
public sealed class CudaMarks : IDisposable
{
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

    /// <summary>Completes when the stream has done everything that it was given so far.</summary>
    /// <exception cref="NativeException">The device failed.</exception>
    public Task AddAsync(CudaStream stream)
    {
        var spare = _spare.GetOrAdd(stream.Device, _ => []);
        var made = spare.TryTake(out var used) ? used : CudaEvent.Create(stream.Device);
        var mark = new Mark(made, new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
        made.Record(stream);
        _added.Enqueue((stream, mark));
        _anything.Release();
        return mark.Reached.Task;
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
        _watcher.Join();
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
        while (!_stopping)
        {
            if (waiting.Count == 0)
            {
                _anything.Wait();
            }

            while (_added.TryDequeue(out var added))
            {
                if (added.Mark is null)
                {
                    waiting.Remove(added.Stream);
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
            Thread.Yield();
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
