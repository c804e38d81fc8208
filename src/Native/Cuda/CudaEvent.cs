using P2PWeights.Native.Cuda.Imports;

namespace P2PWeights.Native.Cuda;

/// <summary>A point in a stream. Recording it again moves it; a wait that was given to a stream before keeps the old point.</summary>
public sealed unsafe class CudaEvent : NativeHandle
{
    private readonly CudaDevice _device;

    private CudaEvent(CudaDevice device)
        : base(device) => _device = device;

    /// <exception cref="NativeException">The device failed.</exception>
    public static CudaEvent Create(CudaDevice device)
    {
        var made = new CudaEvent(device);
        using var current = device.MakeCurrent();
        nint created;
        var returned = Cu.cuEventCreate(&created, Cu.CU_EVENT_BLOCKING_SYNC | Cu.CU_EVENT_DISABLE_TIMING);
        made.Own(created, Cu.Failure(returned, "cuEventCreate", device.Name));
        return made;
    }

    /// <summary>Sets the point: after everything that the stream, one of the same device, was given so far.</summary>
    /// <exception cref="NativeException">The device failed.</exception>
    public void Record(CudaStream stream)
    {
        using var self = Use();
        using var on = stream.Use();
        using var current = _device.MakeCurrent();
        Cu.Check(Cu.cuEventRecord(self.Pointer, on.Pointer), "cuEventRecord", _device.Name);
    }

    /// <summary>Whether the stream has come past the point; true when it was never recorded.</summary>
    /// <exception cref="NativeException">Something before the point failed.</exception>
    public bool IsReached()
    {
        using var self = Use();
        using var current = _device.MakeCurrent();
        var returned = Cu.cuEventQuery(self.Pointer);
        if (returned == Cu.CUDA_ERROR_NOT_READY)
            return false;
        Cu.Check(returned, "cuEventQuery", _device.Name);
        return true;
    }

    /// <summary>Blocks until the stream has come past the point.</summary>
    /// <exception cref="NativeException">Something before the point failed.</exception>
    public void Synchronize()
    {
        using var self = Use();
        using var current = _device.MakeCurrent();
        Cu.Check(Cu.cuEventSynchronize(self.Pointer), "cuEventSynchronize", _device.Name);
    }

    private protected override NativeException? TryRelease(nint native)
    {
        using var current = _device.MakeCurrent();
        return Cu.Failure(Cu.cuEventDestroy_v2(native), "cuEventDestroy");
    }
}
