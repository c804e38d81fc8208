using P2PWeights.Native;
using P2PWeights.Native.Cuda;

namespace P2PWeights.Store.Gpu;

/// <summary>Memory of a GPU in one allocation, exported as a CUDA IPC handle once, at the start.</summary>
internal sealed class CudaGpuArena : IGpuArena
{
    private readonly CudaMemory _memory;
    private readonly CudaStreams _streams;

    /// <exception cref="NativeException">There is no such GPU, it has no room, or it does not share its memory with other processes.</exception>
    public CudaGpuArena(CudaDevices gpus, int ordinal, long bytes)
    {
        var device = gpus.Open(ordinal);
        Device = device.Uuid;
        _memory = CudaMemory.Allocate(device, bytes);
        try
        {
            Handle = _memory.Export();
            _streams = new CudaStreams(device, gpus.Marks);
        }
        catch
        {
            _memory.Dispose();
            throw;
        }
    }

    public string Device { get; }

    /// <summary>The 64 bytes of <c>cudaIpcMemHandle</c>.</summary>
    public ReadOnlyMemory<byte> Handle { get; }

    public CudaDevice Gpu => _streams.Device;

    /// <summary>Where it starts, in the device's address space.</summary>
    public nint Address => _memory.Address;

    public Task CopyInAsync(ReadOnlyMemory<byte> host, long offset) => _streams.CopyInAsync(host, Address + (nint)offset);

    public Task CopyOutAsync(long offset, Memory<byte> host) => _streams.CopyOutAsync(Address + (nint)offset, host);

    public void Abandon() => _memory.Abandon();

    public void Dispose()
    {
        _streams.Dispose();
        _memory.Dispose();
    }
}

/// <summary>The same of another process, opened by its handle: once, which takes a while, and kept.</summary>
internal sealed class ForeignCudaGpuArena : IForeignGpuArena
{
    private readonly CudaSharedMemory _memory;
    private readonly CudaStreams _streams;

    private ForeignCudaGpuArena(CudaSharedMemory memory, CudaStreams streams) => (_memory, _streams) = (memory, streams);

    /// <exception cref="NativeException">The handle leads to nothing: its process is gone, or it is this one.</exception>
    public static ForeignCudaGpuArena Open(CudaDevices gpus, string uuid, ReadOnlySpan<byte> handle)
    {
        var device = gpus.Find(uuid)
            ?? throw new NativeException("CUDA", "cuDeviceGet", 0, "this process does not see the GPU: run the node with CUDA_VISIBLE_DEVICES unset, or naming it too", uuid);
        var memory = CudaSharedMemory.Open(device, handle);
        try
        {
            return new ForeignCudaGpuArena(memory, new CudaStreams(device, gpus.Marks));
        }
        catch
        {
            memory.Dispose();
            throw;
        }
    }

    public bool CanCopyTo(IGpuArena target) => target is CudaGpuArena;

    public Task CopyToAsync(long offset, IGpuArena target, long targetOffset, int length)
    {
        var arena = (CudaGpuArena)target;
        return _streams.CopyToAsync(_memory.Address + (nint)offset, arena.Gpu, arena.Address + (nint)targetOffset, length);
    }

    public Task CopyOutAsync(long offset, Memory<byte> host) => _streams.CopyOutAsync(_memory.Address + (nint)offset, host);

    public void Dispose()
    {
        _streams.Dispose();
        _memory.Dispose();
    }
}
