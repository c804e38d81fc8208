using P2PWeights.Native.Cuda.Imports;

namespace P2PWeights.Native.Cuda;

/// <summary>Memory of a GPU, from <c>cuMemAlloc</c>: the only kind whose handle other processes can open. Freed after the last use: freeing waits for the device.</summary>
public sealed unsafe class CudaMemory : NativeHandle
{
    /// <summary>Bytes of what <see cref="Export"/> gives.</summary>
    public const int HandleBytes = CUipcMemHandle.Size;

    private readonly CudaDevice _device;

    private CudaMemory(CudaDevice device, long length)
        : base(device) => (_device, Length) = (device, length);

    /// <summary>Bytes.</summary>
    public long Length { get; }

    /// <summary>Where it starts, in the device's address space; aligned to 256 bytes at least.</summary>
    public nint Address => !IsClosed ? handle : throw new ObjectDisposedException(nameof(CudaMemory));

    /// <exception cref="NativeException">The device has no room.</exception>
    public static CudaMemory Allocate(CudaDevice device, long length)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(length);
        var memory = new CudaMemory(device, length);
        using var current = device.MakeCurrent();
        nint address;
        var returned = Cu.cuMemAlloc_v2(&address, (nuint)length);
        memory.Own(address, Cu.Failure(returned, "cuMemAlloc", $"{length} bytes on {device.Name}"));
        return memory;
    }

    /// <summary><see cref="HandleBytes"/> by which another process of the host opens the memory. Valid until it is freed.</summary>
    /// <exception cref="NativeException">The device, or the container, does not allow it.</exception>
    public byte[] Export()
    {
        using var self = Use();
        using var current = _device.MakeCurrent();
        CUipcMemHandle exported;
        Cu.Check(Cu.cuIpcGetMemHandle(&exported, self.Pointer), "cuIpcGetMemHandle", _device.Name);
        return exported.ToArray();
    }

    /// <summary>
    /// Gives the memory up without freeing it, for a device that no longer answers: freeing would wait for it, without end. It goes with the process.
    /// </summary>
    public void Abandon() => SetHandleAsInvalid();

    private protected override NativeException? TryRelease(nint native)
    {
        using var current = _device.MakeCurrent();
        return Cu.Failure(Cu.cuMemFree_v2(native), "cuMemFree");
    }
}
