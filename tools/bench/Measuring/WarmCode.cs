using System.Diagnostics;
using System.Runtime;

namespace P2PWeights.Bench.Measuring;

/// <summary>A node runs for weeks, so what is measured is compiled code: the runtime compiles what is called often once more, in the background.</summary>
internal static class WarmCode
{
    /// <summary>Code is warm when nothing was compiled for this long while all of it ran.</summary>
    private static readonly TimeSpan WarmTime = TimeSpan.FromSeconds(4);

    private static readonly TimeSpan LongestWarmUp = TimeSpan.FromMinutes(2);

    /// <summary>Runs work until the compiler has nothing left to do, here or in a source, which is called as often.</summary>
    public static async Task RunAsync(Func<Task> work)
    {
        var begun = Stopwatch.GetTimestamp();
        var (methods, quietSince) = (0L, begun);
        while (Stopwatch.GetElapsedTime(quietSince) < WarmTime && Stopwatch.GetElapsedTime(begun) < LongestWarmUp)
        {
            await work();
            if (JitInfo.GetCompiledMethodCount() is var now && now != methods)
            {
                (methods, quietSince) = (now, Stopwatch.GetTimestamp());
            }
        }
    }
}
