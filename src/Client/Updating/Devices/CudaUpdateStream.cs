using P2PWeights.Native;
using P2PWeights.Native.Cuda;

namespace P2PWeights.Client.Updating.Devices;

/// <summary>A CUDA stream that works on a device's slots.</summary>
internal sealed class CudaUpdateStream(CudaUpdateDevice device) : IDeviceStream
{
    private readonly CudaStream _stream = CudaStream.Create(device.Gpu);

    /// <summary>For the next mark: taken before the copies that it stands behind, so that none is under way when there is no event.</summary>
    private CudaEvent? _mark;

    public void CopyIn(nint host, long offset, long length)
    {
        _mark ??= device.Marks.Take(device.Gpu);
        _stream.CopyIn(device.Address + (nint)offset, host, length);
    }

    public void CopyTo(IUpdateDevice target, long offset, long length)
    {
        var other = (CudaUpdateDevice)target;
        _mark ??= device.Marks.Take(device.Gpu);
        _stream.CopyTo(other.Gpu, other.Address + (nint)offset, device.Address + (nint)offset, length);
    }

    public Task MarkAsync()
    {
        var mark = _mark;
        _mark = null;
        return device.Marks.AddAsync(_stream, mark);
    }

    public void Abandon()
    {
        device.Marks.Forget(_stream);
        _stream.Abandon();
        GivenUpMemory.Keep(this);
    }

    public void Dispose()
    {
        _mark?.Dispose();
        _stream.Dispose();
    }
}
