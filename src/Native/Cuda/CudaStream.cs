using P2PWeights.Native.Cuda.Imports;

namespace P2PWeights.Native.Cuda;

/// <summary>
/// Work of one device that runs in the order in which it is given, beside the other streams. Every call here returns at once, as long as the host memory is registered.
/// Memory given to a copy must stay until an event recorded after it is reached.
/// </summary>
public sealed unsafe class CudaStream : NativeHandle
{
    /// <summary>Copies that one call of the driver takes here: more would not be faster, and their lists lie on the stack.</summary>
    private const int MostInBatch = 64;

    private CudaStream(CudaDevice device)
        : base(device) => Device = device;

    public CudaDevice Device { get; }

    /// <exception cref="NativeException">The device failed.</exception>
    public static CudaStream Create(CudaDevice device)
    {
        var stream = new CudaStream(device);
        using var current = device.MakeCurrent();
        nint created;
        var returned = Cu.cuStreamCreate(&created, Cu.CU_STREAM_NON_BLOCKING);
        stream.Own(created, Cu.Failure(returned, "cuStreamCreate", device.Name));
        return stream;
    }

    /// <summary>Copies from host memory to the stream's device.</summary>
    /// <exception cref="NativeException">An address is wrong, or the device failed earlier.</exception>
    public void CopyIn(nint destination, nint host, long length)
    {
        using var self = Use();
        using var current = Device.MakeCurrent();
        Cu.Check(Cu.cuMemcpyHtoDAsync_v2(destination, host, (nuint)length, self.Pointer), "cuMemcpyHtoDAsync", Device.Name);
    }

    /// <summary>Copies from the stream's device to host memory.</summary>
    /// <exception cref="NativeException">An address is wrong, or the device failed earlier.</exception>
    public void CopyOut(nint host, nint source, long length)
    {
        using var self = Use();
        using var current = Device.MakeCurrent();
        Cu.Check(Cu.cuMemcpyDtoHAsync_v2(host, source, (nuint)length, self.Pointer), "cuMemcpyDtoHAsync", Device.Name);
    }

    /// <summary>Copies inside the stream's device.</summary>
    /// <exception cref="NativeException">An address is wrong, or the device failed earlier.</exception>
    public void Copy(nint destination, nint source, long length)
    {
        using var self = Use();
        using var current = Device.MakeCurrent();
        Cu.Check(Cu.cuMemcpyDtoDAsync_v2(destination, source, (nuint)length, self.Pointer), "cuMemcpyDtoDAsync", Device.Name);
    }

    /// <summary>Copies from the stream's device to another: directly when the two have access, else through host memory.</summary>
    /// <exception cref="NativeException">An address is wrong, or one of the devices failed earlier.</exception>
    public void CopyTo(CudaDevice peer, nint destination, nint source, long length)
    {
        using var self = Use();
        using var other = peer.Use();
        using var current = Device.MakeCurrent();
        Cu.Check(
            Cu.cuMemcpyPeerAsync(destination, other.Pointer, source, current.Pointer, (nuint)length, self.Pointer), "cuMemcpyPeerAsync", $"{Device.Name} to {peer.Name}");
    }

    /// <summary>
    /// Copies from the stream's device to another, in any order. Where the driver takes them in one call (CUDA 12.8) the copy engine does not pause between them: of one that takes 42 µs, the
    /// pause is 4.
    /// </summary>
    /// <param name="copies">Must not overlap; the sources have been written before this is called.</param>
    /// <exception cref="NativeException">An address is wrong, or one of the devices failed earlier; some of the copies may have been begun.</exception>
    public void CopyTo(CudaDevice peer, ReadOnlySpan<DeviceCopy> copies)
    {
        if (copies.Length > 1 && CuBatch.IsAvailable && Device.CanAccess(peer))
        {
            for (; copies.Length > MostInBatch; copies = copies[MostInBatch..])
            {
                CopyTogether(peer, copies[..MostInBatch]);
            }

            CopyTogether(peer, copies);
            return;
        }

        foreach (var (source, destination, length) in copies)
        {
            CopyTo(peer, destination, source, length);
        }
    }

    /// <summary>Has what is given to the stream from now on wait for an event of any device.</summary>
    /// <exception cref="NativeException">A device failed earlier.</exception>
    public void Wait(CudaEvent awaited)
    {
        using var self = Use();
        using var other = awaited.Use();
        using var current = Device.MakeCurrent();
        Cu.Check(Cu.cuStreamWaitEvent(self.Pointer, other.Pointer, 0), "cuStreamWaitEvent", Device.Name);
    }

    /// <summary>Blocks until the stream has done everything.</summary>
    /// <exception cref="NativeException">Something given to it failed.</exception>
    public void Synchronize()
    {
        using var self = Use();
        using var current = Device.MakeCurrent();
        Cu.Check(Cu.cuStreamSynchronize(self.Pointer), "cuStreamSynchronize", Device.Name);
    }

    /// <summary>Gives the stream up without destroying it, for a device that no longer answers.</summary>
    public void Abandon() => SetHandleAsInvalid();

    private void CopyTogether(CudaDevice peer, ReadOnlySpan<DeviceCopy> copies)
    {
        var destinations = stackalloc nint[MostInBatch];
        var sources = stackalloc nint[MostInBatch];
        var bytes = stackalloc nuint[MostInBatch];
        for (var i = 0; i < copies.Length; i++)
        {
            (destinations[i], sources[i], bytes[i]) = (copies[i].Destination, copies[i].Source, (nuint)copies[i].Length);
        }

        var attributes = new CUmemcpyAttributes { SourceAccessOrder = Cu.CU_MEMCPY_SRC_ACCESS_ORDER_ANY };
        using var self = Use();
        using var other = peer.Use();
        using var current = Device.MakeCurrent();
        Cu.Check(CuBatch.cuMemcpyBatchAsync(destinations, sources, bytes, copies.Length, &attributes, self.Pointer), "cuMemcpyBatchAsync", $"{Device.Name} to {peer.Name}");
    }

    private protected override NativeException? TryRelease(nint native)
    {
        using var current = Device.MakeCurrent();
        return Cu.Failure(Cu.cuStreamDestroy_v2(native), "cuStreamDestroy");
    }
}
