using P2PWeights.Native.Cuda;

namespace P2PWeights.Client.Updating.Devices;

/// <summary>A CUDA stream that works on a device's slots.</summary>
internal sealed class CudaUpdateStream(CudaUpdateDevice device) : IDeviceStream
{
    private readonly CudaStream _stream = CudaStream.Create(device.Gpu);

    public void CopyIn(nint host, long offset, long length) => _stream.CopyIn(device.Address + (nint)offset, host, length);

    public void CopyTo(IUpdateDevice target, long offset, long length)
    {
        var other = (CudaUpdateDevice)target;
        _stream.CopyTo(other.Gpu, other.Address + (nint)offset, device.Address + (nint)offset, length);
    }

    public Task MarkAsync() => device.Marks.AddAsync(_stream);

    public void Abandon()
    {
        device.Marks.Forget(_stream);
        _stream.Abandon();
    }

    public void Dispose() => _stream.Dispose();
}
