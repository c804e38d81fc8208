using System.Threading.Channels;

namespace P2PWeights.Transfer.Pulling;

/// <summary>
/// The single loop that owns a pull's state, and the work that runs beside it. Work tells what happened by a post, which the loop carries out; so
/// nothing of the pull's state needs a lock.
/// </summary>
internal sealed class PullLoop(TimeProvider time)
{
    private readonly Channel<News> _inbox = Channel.CreateUnbounded<News>(new UnboundedChannelOptions { SingleReader = true });
    private readonly OwnedTasks _tasks = new();
    private readonly long _started = time.GetTimestamp();
    private Exception? _failure;

    /// <summary>Time since the pull began.</summary>
    public TimeSpan Now => time.GetElapsedTime(_started);

    /// <summary>Cancelled when the pull is to end. Set before anything runs.</summary>
    public CancellationToken Stopping { get; set; }

    /// <summary>Has the loop carry this out. From any thread.</summary>
    public void Post(Action news) => Post(static news => ((Action)news)(), news);

    /// <summary>The same for what happens with every shard: one action for all, told what it is about, so that a post allocates nothing.</summary>
    public void Post(Action<object> carryOut, object about) => _inbox.Writer.TryWrite(new News(carryOut, about));

    /// <summary>Ends the pull with this failure; the first one counts. On the loop only.</summary>
    public void Fail(Exception failure) => _failure ??= failure;

    /// <summary>Runs work beside the loop. Work tells of its end by a post; what fails without one is a fault of this program, and ends the pull rather than hang it.</summary>
    public void Run(Func<Task> work) => _tasks.Add(WatchAsync(work));

    /// <summary>The same for what happens with every shard: work that is its own work item, so that to start it allocates nothing. It tells of its end by <see cref="EndWork"/>, and then no more.</summary>
    public void Run(IThreadPoolWorkItem work)
    {
        _tasks.Begin();
        ThreadPool.UnsafeQueueUserWorkItem(work, preferLocal: false);
    }

    /// <summary>Work that is its own work item has ended.</summary>
    public void EndWork(Exception? fault)
    {
        if (fault is not null)
        {
            PostFailure(fault);
        }

        _tasks.End();
    }

    /// <summary>Posts the same again and again, until the pull ends.</summary>
    public void RunEvery(TimeSpan interval, Action news) => Run(async () =>
    {
        using var timer = new PeriodicTimer(interval, time);
        while (await timer.WaitForNextTickAsync(Stopping).ConfigureAwait(false))
        {
            Post(news);
        }
    });

    /// <summary>Carries out what is posted, and after every batch of it what follows from it, until there is nothing left to do.</summary>
    /// <exception cref="OperationCanceledException">The pull is to end.</exception>
    public async Task RunUntilAsync(Func<bool> isDone, Action afterNews)
    {
        // A wait that cannot be cancelled allocates nothing, so the end is told by a post as well.
        using var stopping = Stopping.UnsafeRegister(static loop => ((PullLoop)loop!).Post(static _ => { }, loop), this);
        afterNews();
        while (!isDone())
        {
            await _inbox.Reader.WaitToReadAsync(CancellationToken.None).ConfigureAwait(false);
            while (_inbox.Reader.TryRead(out var news))
            {
                // With each, because the post that tells of the end may come in the middle of a batch, and be the last of all.
                Stopping.ThrowIfCancellationRequested();
                news.CarryOut(news.About);
            }

            if (_failure is not null)
            {
                throw _failure;
            }

            afterNews();
        }
    }

    /// <summary>Waits until all work has ended; <see cref="Stopping"/> has been cancelled before.</summary>
    public Task WaitForWorkAsync() => _tasks.WaitAsync();

    private async Task WatchAsync(Func<Task> work)
    {
        await Task.CompletedTask.ConfigureAwait(ConfigureAwaitOptions.ForceYielding);
        var running = work();
        await running.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        if (running.Exception is { } fault)
        {
            PostFailure(fault.InnerException ?? fault);
        }
    }

    /// <summary>By itself, because a method that has a closure allocates it however it goes on.</summary>
    private void PostFailure(Exception fault) => Post(() => Fail(fault));

    private readonly record struct News(Action<object> CarryOut, object About);
}
