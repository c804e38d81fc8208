namespace P2PWeights.Store.Gpu;

/// <summary>
/// Memory of one GPU, or what stands for it in the host's memory, in one allocation that other processes of the host can open. Copies may be given from any thread; the bytes on both
/// sides must stay until the copy has ended, and none can be cancelled: not even by a deadline, after which they stay for good. Disposed after the last copy.
/// </summary>
internal interface IGpuArena : IDisposable
{
    /// <summary>Names the device for every process of the host: <c>GPU-</c> and the UUID, or <c>host-</c> and a number.</summary>
    string Device { get; }

    /// <summary>What another process opens it by, with <see cref="Device"/>; at most <see cref="GpuExports.MaxHandleBytes"/>.</summary>
    ReadOnlyMemory<byte> Handle { get; }

    /// <summary>Copies from the host's memory.</summary>
    /// <exception cref="StalledDeviceException">The device has not ended the copy, and may still.</exception>
    /// <exception cref="IOException">The device failed.</exception>
    Task CopyInAsync(ReadOnlyMemory<byte> host, long offset);

    /// <summary>Copies to the host's memory, which belongs to the caller again when this has ended, in whatever way.</summary>
    /// <exception cref="IOException">The device failed, or has not ended the copy in time.</exception>
    Task CopyOutAsync(long offset, Memory<byte> host);

    /// <summary>Gives the memory up without freeing it, because somebody still uses it. It goes with the process.</summary>
    void Abandon();
}

/// <summary>A GPU arena of another process of the host, opened for reading. As with <see cref="IGpuArena"/>, its copies cannot be cancelled.</summary>
internal interface IForeignGpuArena : IDisposable
{
    /// <summary>What its device was given to copy to others.</summary>
    GpuCopies Copies { get; }

    /// <summary>Whether its device can copy into an arena of this process.</summary>
    bool CanCopyTo(IGpuArena target);

    /// <summary>Has the devices copy into an arena of this process.</summary>
    /// <exception cref="StalledDeviceException">A device has not ended the copy, and may still.</exception>
    /// <exception cref="IOException">A device failed, or the memory is gone.</exception>
    Task CopyToAsync(long offset, IGpuArena target, long targetOffset, int length);

    /// <summary>Copies to the host's memory, which belongs to the caller again when this has ended, in whatever way.</summary>
    /// <exception cref="IOException">The device failed or has not ended the copy in time, or the memory is gone.</exception>
    Task CopyOutAsync(long offset, Memory<byte> host);
}
