using P2PWeights.Native.Posix;

namespace P2PWeights.Store.Memory;

/// <summary>
/// Touches the arena's pages in the background, from the first to the last. They are reserved when the arena is made, but the kernel clears each at its first
/// touch, and a virtual machine's host may have to find it first: left to the first pull, that costs it most of its speed (docs/benchmarks.md).
/// One thread of its own, because the call blocks; it ends when all is touched or the arena closes.
/// </summary>
internal sealed class ArenaWarmer
{
    // Small enough that a close waits for one step only: some tens of milliseconds.
    private const long StepBytes = 32 << 20;

    private readonly MemoryMapping _arena;
    private readonly Thread _thread;
    private volatile bool _stop;
    private long _warmBytes;

    /// <param name="arena">Stays the caller's, who calls <see cref="Stop"/> before it unmaps it.</param>
    public ArenaWarmer(MemoryMapping arena)
    {
        _arena = arena;
        _thread = new Thread(Run) { IsBackground = true, Name = "arena warmer", Priority = ThreadPriority.BelowNormal };
        _thread.Start();
    }

    /// <summary>Bytes touched so far.</summary>
    public long WarmBytes => Interlocked.Read(ref _warmBytes);

    /// <summary>Waits until the thread has ended by itself; false when it has not in this time.</summary>
    public bool Wait(TimeSpan deadline) => _thread.Join(deadline);

    /// <summary>Ends the thread and waits for it.</summary>
    public void Stop()
    {
        _stop = true;
        _thread.Join();
    }

    private void Run()
    {
        for (var offset = 0L; offset < _arena.Length && !_stop; offset += StepBytes)
        {
            var length = Math.Min(StepBytes, _arena.Length - offset);
            if (!_arena.TryPopulate(offset, length, forWriting: true))
            {
                // A kernel before Linux 5.14: the first writes touch the pages, as they would have without us.
                return;
            }

            Interlocked.Add(ref _warmBytes, length);
        }
    }
}
