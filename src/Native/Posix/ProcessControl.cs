using System.Runtime.InteropServices;

namespace P2PWeights.Native.Posix;

/// <summary>A signal, by its number in <c>signal.h</c>.</summary>
public enum PosixSignalNumber
{
    Interrupt = 2,
    Kill = 9,
    Terminate = 15,
}

/// <summary>Signals between a process and its children.</summary>
public static class ProcessControl
{
    /// <summary>
    /// Called in a child, on its main thread: the kernel signals it when its parent ends, however the parent ends. Beware: both sides of this are threads
    /// (prctl(2), PR_SET_PDEATHSIG). The wish ends with the thread that made it, and "parent" is the thread that started the child: so a parent must start
    /// such children from a thread that lives as long as they should, never from the thread pool.
    /// </summary>
    /// <param name="parentId">Process id of the parent, as the parent told it.</param>
    /// <returns>False when the parent has ended already, so no signal will come: the caller ends by itself.</returns>
    /// <exception cref="NativeException">prctl failed.</exception>
    public static bool SignalWhenParentEnds(PosixSignalNumber signal, int parentId)
    {
        if (Libc.prctl(Libc.PR_SET_PDEATHSIG, (nuint)signal, 0, 0, 0) != 0)
        {
            throw Libc.LastError(function: "prctl");
        }

        return Libc.getppid() == parentId;
    }

    /// <summary>Sends a signal to one process.</summary>
    /// <returns>False when there is no such process any more.</returns>
    /// <exception cref="NativeException">Not permitted.</exception>
    public static bool Signal(int processId, PosixSignalNumber signal)
    {
        // 0 and below would address whole groups of processes (kill(2)).
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(processId);
        if (Libc.kill(processId, (int)signal) == 0)
        {
            return true;
        }

        return Marshal.GetLastPInvokeError() == Errno.NoSuchProcess ? false : throw Libc.LastError(processId.ToString(System.Globalization.CultureInfo.InvariantCulture), "kill");
    }
}
