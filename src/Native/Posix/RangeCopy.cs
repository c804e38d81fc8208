using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace P2PWeights.Native.Posix;

/// <summary>How <see cref="RangeCopy.TryCopy"/> moved the bytes.</summary>
public enum RangeCopied
{
    /// <summary>Not at all, or in part: this pair of file systems cannot, the source ends early, or one of the files failed. The destination's range may have been written to.</summary>
    No,

    /// <summary>Both files share the blocks until one of them is written to.</summary>
    Shared,

    /// <summary>The kernel copied them, without a buffer of this process.</summary>
    Copied,
}

/// <summary>Copies a range from one file into another inside the kernel, sharing blocks where the file system can.</summary>
public static unsafe class RangeCopy
{
    /// <summary>Writes <paramref name="length"/> bytes of one file into another at an offset. Blocks the thread for as long as the copy takes.</summary>
    /// <exception cref="NativeException">The disk is full.</exception>
    public static RangeCopied TryCopy(SafeFileHandle source, long sourceOffset, SafeFileHandle destination, long destinationOffset, long length)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(sourceOffset);
        ArgumentOutOfRangeException.ThrowIfNegative(destinationOffset);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(length);
        return TryClone(source, sourceOffset, destination, destinationOffset, length) ? RangeCopied.Shared
            : TryCopyBytes(source, sourceOffset, destination, destinationOffset, length) ? RangeCopied.Copied
            : RangeCopied.No;
    }

    /// <summary>Shares the blocks of a range (ioctl_ficlonerange(2)): btrfs, XFS and a few others, and only of whole blocks.</summary>
    private static bool TryClone(SafeFileHandle source, long sourceOffset, SafeFileHandle destination, long destinationOffset, long length)
    {
        var counted = false;
        try
        {
            source.DangerousAddRef(ref counted);
            var range = new FileCloneRange
            {
                Source = source.DangerousGetHandle(),
                SourceOffset = (ulong)sourceOffset,
                Length = (ulong)length,
                DestinationOffset = (ulong)destinationOffset,
            };

            // Whatever the reason for a no, the copy that follows finds out whether it is one for it too.
            return Libc.ioctl(destination, Libc.FICLONERANGE, &range) == 0;
        }
        finally
        {
            if (counted)
            {
                source.DangerousRelease();
            }
        }
    }

    /// <summary>copy_file_range(2), call after call until all is copied; since Linux 5.19 it refuses pairs of unlike file systems.</summary>
    private static bool TryCopyBytes(SafeFileHandle source, long sourceOffset, SafeFileHandle destination, long destinationOffset, long length)
    {
        while (length > 0)
        {
            // The kernel moves both offsets on.
            var copied = Libc.copy_file_range(source, &sourceOffset, destination, &destinationOffset, (nuint)length, 0);
            switch (copied)
            {
                case > 0:
                    length -= copied;
                    break;
                case 0:
                    return false;
                default:
                    switch (Marshal.GetLastPInvokeError())
                    {
                        case Errno.Interrupted:
                            break;
                        case Errno.NoSpace or Errno.QuotaExceeded:
                            throw Libc.LastError(function: "copy_file_range");
                        default:
                            // Which of the two files is to blame is not told; an ordinary read and write find out.
                            return false;
                    }

                    break;
            }
        }

        return true;
    }
}
