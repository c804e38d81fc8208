using P2PWeights.Native;
using P2PWeights.Native.Cuda;

namespace P2PWeights.Store.Gpu;

/// <summary>Memory of a GPU in one allocation, exported as a CUDA IPC handle once, at the start.</summary>
internal sealed class CudaGpuArena : IGpuArena
{
    private readonly CudaLinks _links;
    private readonly CudaMemory _memory;
    private readonly CudaStreams _streams;

    /// <exception cref="NativeException">There is no such GPU, it has no room, or it does not share its memory with other processes.</exception>
    public CudaGpuArena(CudaLinks links, int ordinal, long bytes)
    {
        _links = links;
        var device = links.Gpus.Open(ordinal);
        Device = device.Uuid;
        _memory = CudaMemory.Allocate(device, bytes);
        try
        {
            Handle = _memory.Export();
            _streams = new CudaStreams(device, links);
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

    public void Abandon()
    {
        _memory.Abandon();
        _streams.Abandon();
    }

    public void Dispose()
    {
        if (_links.IsStalled)
        {
            Abandon();
        }

        _streams.Dispose();
        _memory.Dispose();
    }
}

/// <summary>The same of another process, opened by its handle: once, which takes a while, and kept.</summary>
internal sealed class ForeignCudaGpuArena : IForeignGpuArena
{
    private readonly CudaLinks _links;
    private readonly CudaSharedMemory _memory;
    private readonly CudaStreams _streams;

    private ForeignCudaGpuArena(CudaLinks links, CudaSharedMemory memory, CudaStreams streams) => (_links, _memory, _streams) = (links, memory, streams);

    public GpuCopies Copies => _streams.Counts;

    /// <exception cref="IOException">The handle leads to nothing: its process is gone, or it is this one. Or the device has stalled.</exception>
    public static ForeignCudaGpuArena Open(CudaLinks links, string uuid, ReadOnlySpan<byte> handle)
    {
        var device = links.Gpus.Find(uuid)
            ?? throw new NativeException("CUDA", "cuDeviceGet", 0, "this process does not see the GPU: run the node with CUDA_VISIBLE_DEVICES unset, or naming it too", uuid);
        links.Watches.ThrowIfStalled(uuid);
        var memory = CudaSharedMemory.Open(device, handle);
        try
        {
            return new ForeignCudaGpuArena(links, memory, new CudaStreams(device, links));
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
        return _streams.CopyToAsync(_memory.Address + (nint)offset, arena, arena.Address + (nint)targetOffset, length);
    }

    public Task CopyOutAsync(long offset, Memory<byte> host) => _streams.CopyOutAsync(_memory.Address + (nint)offset, host);

    public void Dispose()
    {
        if (_links.IsStalled)
        {
            _memory.Abandon();
            _streams.Abandon();
        }

        _streams.Dispose();
        _memory.Dispose();
    }
}
