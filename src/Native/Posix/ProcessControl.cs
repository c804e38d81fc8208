using System.Globalization;
using System.Runtime.InteropServices;

namespace P2PWeights.Native.Posix;

/// <summary>A signal, by its number in <c>signal.h</c>.</summary>
public enum PosixSignalNumber
{
    Interrupt = 2,
    Kill = 9,
    Terminate = 15,
}

/// <summary>What <see cref="System.Diagnostics.Process"/> leaves out: signals other than SIGKILL.</summary>
public static class ProcessControl
{
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

        return Marshal.GetLastPInvokeError() == Errno.NoSuchProcess
            ? false
            : throw Libc.LastError(processId.ToString(CultureInfo.InvariantCulture), "kill");
    }
}
