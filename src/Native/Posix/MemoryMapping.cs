using System.Buffers;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace P2PWeights.Native.Posix;

/// <summary>
/// A range of memory mapped from a file, or anonymous. Whoever made it disposes it, after the last use of any memory got from it: an access after
/// that is a crash, not an exception. So is an access to a page that the mapped file lost by being truncated (SIGBUS): map only files that
/// nobody else can shrink.
/// </summary>
public sealed unsafe class MemoryMapping : SafeHandle
{
    private MemoryMapping(nint address, long length)
        : base(-1, ownsHandle: true)
    {
        SetHandle(address);
        Length = length;
    }

    /// <summary>Bytes mapped.</summary>
    public long Length { get; }

    /// <summary>Where the mapping starts, aligned to the page size.</summary>
    public byte* Address => !IsClosed ? (byte*)handle : throw new ObjectDisposedException(nameof(MemoryMapping));

    public override bool IsInvalid => handle == -1;

    /// <summary>Maps a range of a file. The file may be closed afterwards.</summary>
    /// <param name="offset">A multiple of the page size.</param>
    /// <param name="shared">True: stores go to the file and are seen by every process that maps it. False: stores stay in this process.</param>
    /// <exception cref="NativeException">mmap failed.</exception>
    public static MemoryMapping Create(SafeFileHandle file, long offset, long length, bool writable, bool shared)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(length);
        var address = Libc.mmap(0, (nuint)length, Protection(writable), shared ? Libc.MAP_SHARED : Libc.MAP_PRIVATE, file, offset);
        return address != -1 ? new MemoryMapping(address, length) : throw Libc.LastError(function: "mmap");
    }

    /// <summary>Maps fresh zeros that no file backs.</summary>
    /// <exception cref="NativeException">mmap failed.</exception>
    public static MemoryMapping CreateAnonymous(long length)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(length);
        var address = Libc.mmapAnonymous(0, (nuint)length, Protection(writable: true), Libc.MAP_PRIVATE | Libc.MAP_ANONYMOUS, -1, 0);
        return address != -1 ? new MemoryMapping(address, length) : throw Libc.LastError(function: "mmap");
    }

    /// <summary>A part of the mapping as memory; a part because <see cref="Memory{T}"/> ends at 2 GiB. Valid until the mapping is disposed.</summary>
    public Memory<byte> GetMemory(long offset, int length)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(offset, Length - length);
        return new Part(this, offset, length).Memory;
    }

    /// <summary>
    /// Maps the pages of a range now, in one call, rather than one fault for every few of them later. A wish: false when the kernel
    /// (before Linux 5.14) or the file does not do it; the range works all the same.
    /// </summary>
    /// <param name="offset">A multiple of the page size.</param>
    /// <param name="forWriting">Makes the pages ready to be stored to as well; what they hold stays as it is.</param>
    public bool TryPopulate(long offset, long length, bool forWriting = false)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(offset, Length - length);
        return Libc.madvise((nint)(Address + offset), (nuint)length, forWriting ? Libc.MADV_POPULATE_WRITE : Libc.MADV_POPULATE_READ) == 0;
    }

    protected override bool ReleaseHandle() => Libc.munmap(handle, (nuint)Length) == 0;

    private static int Protection(bool writable) => Libc.PROT_READ | (writable ? Libc.PROT_WRITE : 0);

    /// <summary>Lets a part of the mapping be used as <see cref="Memory{T}"/>. It keeps the mapping reachable, and a pin keeps it mapped.</summary>
    private sealed class Part(MemoryMapping mapping, long offset, int length) : MemoryManager<byte>
    {
        public override Span<byte> GetSpan() => new(mapping.Address + offset, length);

        public override MemoryHandle Pin(int elementIndex = 0)
        {
            ArgumentOutOfRangeException.ThrowIfNegative(elementIndex);
            ArgumentOutOfRangeException.ThrowIfGreaterThan(elementIndex, length);
            var added = false;
            mapping.DangerousAddRef(ref added);
            return new MemoryHandle((byte*)mapping.handle + offset + elementIndex, pinnable: this);
        }

        public override void Unpin() => mapping.DangerousRelease();

        protected override void Dispose(bool disposing)
        {
        }
    }
}
