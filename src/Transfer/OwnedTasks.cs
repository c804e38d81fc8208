using System.Collections.Concurrent;

namespace P2PWeights.Transfer;

/// <summary>Tasks started on the side, with an owner that awaits them at its end. A task deals with its own failures.</summary>
internal sealed class OwnedTasks
{
    private readonly ConcurrentDictionary<Task, byte> _running = new();

    public int Count => _running.Count;

    /// <summary>Starts work on the thread pool and keeps it until it ends.</summary>
    public void Start(Func<Task> work) => Add(Task.Run(work));

    /// <summary>Keeps a task until it ends.</summary>
    public void Add(Task task)
    {
        _running[task] = 0;
        task.ContinueWith(done => _running.TryRemove(done, out _), TaskScheduler.Default);
    }

    /// <summary>Awaits everything that runs, and what that starts.</summary>
    public async Task WaitAsync()
    {
        while (!_running.IsEmpty)
        {
            await Task.WhenAll(_running.Keys).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            foreach (var done in _running.Keys.Where(task => task.IsCompleted))
            {
                _running.TryRemove(done, out _);
            }
        }
    }
}
