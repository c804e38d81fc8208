using P2PWeights.Native.Cuda.Imports;

namespace P2PWeights.Native.Cuda;

/// <summary>GPU memory of another process of the host, opened by its handle. That process must not free it before this is disposed.</summary>
public sealed unsafe class CudaSharedMemory : NativeHandle
{
    private readonly CudaDevice _device;

    private CudaSharedMemory(CudaDevice device)
        : base(device) => _device = device;

    /// <summary>Where it starts, in this process.</summary>
    public nint Address => !IsClosed ? handle : throw new ObjectDisposedException(nameof(CudaSharedMemory));

    /// <param name="device">The device that the memory lies on.</param>
    /// <param name="exported">What <see cref="CudaMemory.Export"/> gave in the other process.</param>
    /// <exception cref="NativeException">The handle is no longer valid, or is this process's own.</exception>
    public static CudaSharedMemory Open(CudaDevice device, ReadOnlySpan<byte> exported)
    {
        var memory = new CudaSharedMemory(device);
        using var current = device.MakeCurrent();
        nint address;
        var returned = Cu.cuIpcOpenMemHandle_v2(&address, CUipcMemHandle.From(exported), Cu.CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS);
        memory.Own(address, Cu.Failure(returned, "cuIpcOpenMemHandle", device.Name));
        return memory;
    }

    /// <summary>Gives the memory up without closing it, for a device that no longer answers.</summary>
    public void Abandon() => SetHandleAsInvalid();

    private protected override NativeException? TryRelease(nint native)
    {
        using var current = _device.MakeCurrent();
        return Cu.Failure(Cu.cuIpcCloseMemHandle(native), "cuIpcCloseMemHandle");
    }
}
