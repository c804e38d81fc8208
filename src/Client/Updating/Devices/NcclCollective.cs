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

    /// <summary>The last mark of each stream; null when it is not known what the streams were given.</summary>
    private volatile IReadOnlyList<Task>? _marks = [];

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
            _marks = null;
            _group.AllGather([.. _devices.Select(device => device.Address + (nint)offset)], partBytes, _streams);
            List<Task> marks = [.. _streams.Zip(_devices, (stream, device) => device.Marks.AddAsync(stream))];
            _marks = marks;
            return [.. marks.Select(WaitAsync)];
        }
    }

    public void Abort() => _group.Abort();

    public void Dispose()
    {
        _group.Dispose();
        if (_marks is { } marks && marks.All(mark => mark.IsCompletedSuccessfully))
        {
            Array.ForEach(_streams, stream => stream.Dispose());
            return;
        }

        // To destroy a stream whose operation never ended may wait for it, and its mark would be asked for without end.
        foreach (var (stream, device) in _streams.Zip(_devices))
        {
            device.Marks.Forget(stream);
            stream.Abandon();
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
