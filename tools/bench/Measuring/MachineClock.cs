using System.Globalization;

namespace P2PWeights.Bench.Measuring;

/// <summary>How busy the whole machine's processors are, whoever uses them: the kernel's counts since the start.</summary>
internal readonly record struct MachineClock(double BusySeconds, double TotalSeconds)
{
    /// <summary>USER_HZ, the unit of /proc/stat: 100 on every Linux that .NET runs on.</summary>
    private const double TicksPerSecond = 100;

    /// <summary>Places of idle and iowait among the numbers of the line <c>cpu</c> (proc_stat(5)).</summary>
    private const int Idle = 3, WaitingForDisk = 4;

    /// <summary>Guest time, from here on, is part of the user time already.</summary>
    private const int Guest = 8;

    public static MachineClock Now()
    {
        var ticks = File.ReadLines("/proc/stat").First().Split(' ', StringSplitOptions.RemoveEmptyEntries)[1..(1 + Guest)]
            .Select(word => double.Parse(word, CultureInfo.InvariantCulture)).ToArray();
        return new MachineClock((ticks.Sum() - ticks[Idle] - ticks[WaitingForDisk]) / TicksPerSecond, ticks.Sum() / TicksPerSecond);
    }

    /// <summary>The busy part of the time since then, 0 to 1, over all processors.</summary>
    public static double BusySince(MachineClock then)
    {
        var now = Now();
        return now.TotalSeconds > then.TotalSeconds ? (now.BusySeconds - then.BusySeconds) / (now.TotalSeconds - then.TotalSeconds) : 0;
    }
}
