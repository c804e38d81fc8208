namespace P2PWeights.Transfer;

/// <summary>Tasks started on the side, with an owner that awaits them at its end. A task deals with its own failures. Keeps a count and no task. Thread-safe.</summary>
internal sealed class OwnedTasks
{
    private readonly Lock _gate = new();
    private readonly Action _ended;
    private TaskCompletionSource? _idle;
    private int _running;

    public OwnedTasks() => _ended = End;

    public int Count => Volatile.Read(ref _running);

    /// <summary>Starts work on the thread pool and keeps it until it ends.</summary>
    public void Start(Func<Task> work) => Add(Task.Run(work));

    /// <summary>Keeps a task until it ends.</summary>
    public void Add(Task task)
    {
        Begin();
        task.ConfigureAwait(false).GetAwaiter().UnsafeOnCompleted(_ended);
    }

    /// <summary>Work that is no task begins, until <see cref="End"/>.</summary>
    public void Begin()
    {
        lock (_gate)
        {
            _running++;
        }
    }

    /// <summary>Something has ended.</summary>
    public void End()
    {
        TaskCompletionSource? idle = null;
        lock (_gate)
        {
            if (--_running == 0)
            {
                (idle, _idle) = (_idle, null);
            }
        }

        idle?.SetResult();
    }

    /// <summary>Awaits everything that runs, and what that starts.</summary>
    public async Task WaitAsync()
    {
        while (true)
        {
            Task idle;
            lock (_gate)
            {
                if (_running == 0)
                {
                    return;
                }

                _idle ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
                idle = _idle.Task;
            }

            await idle.ConfigureAwait(false);
        }
    }
}
