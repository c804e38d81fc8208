using P2PWeights.Client.Engines;
using P2PWeights.Native.Cuda;

namespace P2PWeights.Client.Updating.Devices;

/// <summary>One GPU during one update. The slots are plain device memory, whose handle the engine's process opens.</summary>
internal sealed class CudaUpdateDevice(CudaDevice gpu, CudaMarks marks) : IUpdateDevice
{
    private CudaMemory? _slots;

    public string Name { get; } = gpu.Uuid;

    public long FreeBytes => Gpu.FreeBytes;

    public CudaDevice Gpu { get; } = gpu;

    public CudaMarks Marks { get; } = marks;

    /// <summary>Where the slots start, in the GPU's address space.</summary>
    public nint Address => _slots!.Address;

    public SlotMemory Allocate(long bytes)
    {
        _slots = CudaMemory.Allocate(Gpu, bytes);
        return new CudaSlotMemory(Name, _slots.Export(), Offset: 0, bytes);
    }

    public IDeviceStream OpenStream() => new CudaUpdateStream(this);

    public long Abandon()
    {
        _slots?.Abandon();
        return _slots?.Length ?? 0;
    }

    public void Dispose() => _slots?.Dispose();
}
