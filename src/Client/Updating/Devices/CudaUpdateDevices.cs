using P2PWeights.Client.Engines;
using P2PWeights.Native.Cuda;
using P2PWeights.Native.Nccl;

namespace P2PWeights.Client.Updating.Devices;

/// <summary>The GPUs that this process may use.</summary>
internal sealed class CudaUpdateDevices : IUpdateDevices
{
    private readonly CudaDevices _gpus;

    /// <exception cref="UpdateException">This machine has no CUDA.</exception>
    public CudaUpdateDevices()
    {
        if (CudaLibrary.Unavailable is { } reason)
        {
            throw new UpdateException($"the engine's weights are on a GPU, and this node reaches none: {reason}");
        }

        _gpus = new CudaDevices();
    }

    /// <summary>Opened with access to all that were asked for before, and they to it: whoever copies to whom is decided bucket by bucket.</summary>
    public IUpdateDevice Open(EngineDevice device) => _gpus.Find(device.Id) is { } found
        ? new CudaUpdateDevice(found, _gpus.Marks)
        : throw new UpdateException(
            $"the engine's weights are on {device.Id}, which this node does not reach; it reaches {string.Join(", ", CudaDevice.Uuids)}: "
            + "the node must run on the engine's host, with CUDA_VISIBLE_DEVICES unset or naming the engine's GPUs");

    public IDisposable Register(nint address, long length) => _gpus.Register(address, length);

    public ICollective OpenCollective(IReadOnlyList<IUpdateDevice> devices)
    {
        if (NcclLibrary.Unavailable is { } reason)
        {
            throw new UpdateException($"--broadcast nccl needs NCCL: {reason}; or leave the option out");
        }

        return new NcclCollective([.. devices.Cast<CudaUpdateDevice>()]);
    }

    public void Dispose() => _gpus.Dispose();
}
