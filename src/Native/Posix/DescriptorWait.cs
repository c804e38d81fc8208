using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace P2PWeights.Native.Posix;

/// <summary>
/// Blocks a thread until a file descriptor of somebody else's has something to read, a time is over, or another thread calls <see cref="Wake"/>.
/// One waiter at a time.
/// </summary>
internal sealed unsafe class DescriptorWait : IDisposable
{
    private readonly SafeFileHandle _wake;

    /// <exception cref="NativeException">No descriptor left.</exception>
    public DescriptorWait()
    {
        _wake = Libc.eventfd(0, Libc.EFD_CLOEXEC | Libc.EFD_NONBLOCK);
        if (_wake.IsInvalid)
            throw Libc.LastError(function: "eventfd");
    }

    /// <summary>Makes a descriptor answer EAGAIN where it would block.</summary>
    public static void MakeNonBlocking(int descriptor)
    {
        var flags = Libc.fcntl(descriptor, Libc.F_GETFL, 0);
        if (flags < 0 || Libc.fcntl(descriptor, Libc.F_SETFL, flags | Libc.O_NONBLOCK) < 0)
            throw Libc.LastError(function: "fcntl");
    }

    /// <param name="timeout">Negative: without end.</param>
    /// <returns>False when the time was over or somebody called <see cref="Wake"/> (one call wakes one wait, also one that begins later).</returns>
    /// <exception cref="NativeException">poll failed.</exception>
    public bool Wait(int descriptor, TimeSpan timeout)
    {
        var milliseconds = timeout < TimeSpan.Zero ? -1 : (int)Math.Min(Math.Ceiling(timeout.TotalMilliseconds), int.MaxValue);
        var added = false;
        _wake.DangerousAddRef(ref added);
        try
        {
            var watched = stackalloc Libc.PollDescriptor[2];
            watched[0] = new() { fd = descriptor, events = Libc.POLLIN };
            watched[1] = new() { fd = (int)_wake.DangerousGetHandle(), events = Libc.POLLIN };
            if (Libc.poll(watched, 2, milliseconds) < 0)
            {
                // A signal is the end of this wait, not a failure: the caller decides whether to wait on.
                return Marshal.GetLastPInvokeError() == Errno.Interrupted ? false : throw Libc.LastError(function: "poll");
            }

            if (watched[1].revents != 0)
            {
                ulong count;
                _ = Libc.read(_wake, &count, sizeof(ulong)); // takes the wake-up away; another thread cannot have, there is one waiter
            }

            return watched[0].revents != 0;
        }
        finally
        {
            _wake.DangerousRelease();
        }
    }

    /// <summary>Ends the wait that is going on, or the next one at once.</summary>
    public void Wake()
    {
        ulong one = 1;
        if (Libc.write(_wake, &one, sizeof(ulong)) < 0 && Marshal.GetLastPInvokeError() != Errno.WouldBlock)
            throw Libc.LastError(function: "write");
    }

    public void Dispose() => _wake.Dispose();
}
