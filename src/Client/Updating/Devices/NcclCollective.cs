using P2PWeights.Native.Cuda;
using P2PWeights.Native.Nccl;

namespace P2PWeights.Client.Updating.Devices;

/// <summary>All-gathers of NCCL over the GPUs of this process.</summary>
internal sealed class NcclCollective : ICollective
{
    private readonly CudaUpdateDevice[] _devices;
    private readonly NcclGroup _group;
    private readonly CudaStream[] _streams;
    private readonly Lock _oneAtATime = new();

    public NcclCollective(CudaUpdateDevice[] devices)
    {
        _devices = devices;
        _group = NcclGroup.Create([.. devices.Select(device => device.Gpu)]);
        _streams = [.. devices.Select(device => CudaStream.Create(device.Gpu))];
    }

    public IReadOnlyList<Task> Gather(long offset, long partBytes)
    {
        lock (_oneAtATime)
        {
            _group.AllGather([.. _devices.Select(device => device.Address + (nint)offset)], partBytes, _streams);
            return [.. _streams.Zip(_devices, (stream, device) => WaitAsync(device.Marks.AddAsync(stream)))];
        }
    }

    public void Abort() => _group.Abort();

    public void Dispose()
    {
        _group.Dispose();
        foreach (var stream in _streams)
        {
            stream.Dispose();
        }
    }

    private async Task WaitAsync(Task mark)
    {
        await mark.ConfigureAwait(false);
        if (_group.Failure() is { } failure)
        {
            throw failure;
        }
    }
}
