using System.ComponentModel;
using System.Runtime.InteropServices;

namespace P2PWeights.Bench.Measuring;

/// <summary>Processor time, user and system together, of other processes; to the nanosecond, where /proc has hundredths of a second.</summary>
internal static partial class CpuClock
{
    /// <summary>CPUCLOCK_SCHED of include/linux/posix-timers.h: the scheduler's count of run time, all threads together.</summary>
    private const int ScheduledTime = 2;

    /// <summary>RUSAGE_CHILDREN of sys/resource.h.</summary>
    private const int EndedChildren = -1;

    /// <summary>Seconds that a process has used so far.</summary>
    /// <exception cref="BenchException">There is no such process.</exception>
    public static double SecondsOf(int processId)
    {
        // The clock of a process is made from its id this way: clock_getcpuclockid(3), MAKE_PROCESS_CPUCLOCK.
        Timespec time;
        return ClockGetTime((~processId << 3) | ScheduledTime, out time) == 0
            ? time.Seconds + time.Nanoseconds / 1e9
            : throw new BenchException($"process {processId} has ended, so its processor time cannot be read", new Win32Exception(Marshal.GetLastPInvokeError()));
    }

    /// <summary>Seconds used by the children of this process that have ended.</summary>
    public static double SecondsOfEndedChildren()
    {
        return GetResourceUsage(EndedChildren, out var usage) == 0
            ? usage.UserSeconds + usage.SystemSeconds + (usage.UserMicroseconds + usage.SystemMicroseconds) / 1e6
            : throw new BenchException("getrusage failed", new Win32Exception(Marshal.GetLastPInvokeError()));
    }

    [LibraryImport("libc", EntryPoint = "clock_gettime", SetLastError = true)]
    private static partial int ClockGetTime(int clock, out Timespec time);

    [LibraryImport("libc", EntryPoint = "getrusage", SetLastError = true)]
    private static partial int GetResourceUsage(int who, out ResourceUsage usage);

    /// <summary>struct timespec of a 64-bit system.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private readonly struct Timespec
    {
        public readonly long Seconds;
        public readonly long Nanoseconds;
    }

    /// <summary>struct rusage of a 64-bit Linux: two struct timeval, and fourteen counts that are of no interest here.</summary>
    [StructLayout(LayoutKind.Sequential, Size = 144)]
    private readonly struct ResourceUsage
    {
        public readonly long UserSeconds;
        public readonly long UserMicroseconds;
        public readonly long SystemSeconds;
        public readonly long SystemMicroseconds;
    }
}
