using System.Diagnostics;
using P2PWeights.Native;
using P2PWeights.Native.Verbs;

namespace P2PWeights.Transfer.Paths.Rdma;

/// <summary>
/// The thread of one device that takes completions: polls for a moment while work is outstanding (<see cref="SpinBudget"/>), then sleeps on the completion queue's
/// event channel. While nothing moves it costs no CPU.
/// </summary>
internal sealed class CompletionLoop : IDisposable
{
    private const int Batch = 64;

    /// <summary>Longest sleep; only a guard, an event ends it.</summary>
    private static readonly TimeSpan Sleep = TimeSpan.FromSeconds(30);

    private readonly CompletionQueue _completions;
    private readonly WorkTable _work;
    private readonly Action<NativeException> _failed;
    private readonly Thread _thread;
    private volatile bool _stopped;

    /// <param name="failed">Told when the completion queue is lost; nothing completes any more then.</param>
    public CompletionLoop(CompletionQueue completions, WorkTable work, Action<NativeException> failed)
    {
        (_completions, _work, _failed) = (completions, work, failed);
        _thread = new Thread(Run) { IsBackground = true, Name = $"rdma {completions.Device.Name}" };
        _thread.Start();
    }

    /// <summary>Ends the thread; work that has not completed by then never does.</summary>
    public void Dispose()
    {
        _stopped = true;
        _completions.Wake();
        _thread.Join();
    }

    private void Run()
    {
        try
        {
            var budget = new SpinBudget();
            var batch = new WorkCompletion[Batch];
            while (!_stopped)
            {
                var start = Stopwatch.GetTimestamp();
                var isAwaited = _work.Outstanding > 0;
                var count = Take(batch, budget, start);
                if (count == 0)
                {
                    // Armed before the last look, so that a completion between the two raises an event.
                    _completions.Arm();
                    count = _completions.Poll(batch);
                }

                if (count == 0)
                {
                    _completions.WaitForEvent(Sleep);
                    count = _completions.Poll(batch);
                }

                if (isAwaited && count > 0)
                {
                    budget.Came(Stopwatch.GetElapsedTime(start));
                }

                End(batch.AsSpan(0, count));
            }
        }
        catch (NativeException failure)
        {
            _failed(failure);
        }
    }

    private int Take(WorkCompletion[] batch, SpinBudget budget, long start)
    {
        while (true)
        {
            var count = _completions.Poll(batch);
            if (count > 0 || Stopwatch.GetElapsedTime(start) >= budget.Next(_work.Outstanding))
            {
                return count;
            }

            Thread.SpinWait(10);
        }
    }

    private void End(ReadOnlySpan<WorkCompletion> batch)
    {
        foreach (ref readonly var completion in batch)
        {
            if (_work.TryTake(completion.Id, out var queue, out var owner))
            {
                queue.End(owner, completion.Status);
            }
        }
    }
}
