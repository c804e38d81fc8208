using P2PWeights.Native.Posix;

namespace P2PWeights.Native.Cuda;

/// <summary>
/// The pauses of a thread that asks again and again: none at first, because what waits for a short copy waits for the thread, then naps, so that waiting for a long copy costs some hundredths of a core and
/// not a whole one. What ends during a nap is seen when it is over: up to 0.1 ms late, because the kernel adds its timer slack, 50 µs, to the nap. Not thread-safe.
/// </summary>
/// <param name="nap">As <see cref="Nap"/>.</param>
internal sealed class SpinThenNap(TimeProvider time, Action nap)
{
    /// <summary>From when something was last got on with.</summary>
    public static readonly TimeSpan Spin = TimeSpan.FromMicroseconds(100);

    private const long NapNanoseconds = 50_000;

    private long _since = time.GetTimestamp();

    /// <summary>Sleeps for less than a timer of .NET can, which counts whole milliseconds.</summary>
    /// <returns>False when a signal ended it early.</returns>
    public static unsafe bool Nap()
    {
        var duration = stackalloc long[] { 0, NapNanoseconds };
        return Libc.nanosleep(duration, 0) == 0;
    }

    /// <param name="hasGotOn">Whether anything was begun or ended since the last pause.</param>
    public void Pause(bool hasGotOn)
    {
        if (hasGotOn)
        {
            _since = time.GetTimestamp();
        }

        if (time.GetElapsedTime(_since) < Spin)
        {
            Thread.Yield();
        }
        else
        {
            nap();
        }
    }
}
