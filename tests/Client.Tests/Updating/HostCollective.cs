using P2PWeights.Client.Updating.Devices;

namespace P2PWeights.Client.Tests.Updating;

/// <summary>An all-gather over devices in the host's memory: what NCCL does over GPUs.</summary>
internal sealed class HostCollective(IReadOnlyList<IUpdateDevice> devices) : ICollective
{
    private readonly IDeviceStream[] _streams = [.. devices.Select(device => device.OpenStream())];

    public bool IsAborted { get; private set; }

    public IReadOnlyList<Task> Gather(long offset, long partBytes)
    {
        for (var from = 0; from < devices.Count; from++)
        {
            foreach (var to in devices)
            {
                if (to != devices[from])
                {
                    _streams[from].CopyTo(to, offset + (from * partBytes), partBytes);
                }
            }
        }

        return [.. _streams.Select(stream => stream.MarkAsync())];
    }

    public void Abort() => IsAborted = true;

    public void Dispose()
    {
        foreach (var stream in _streams)
        {
            stream.Dispose();
        }
    }
}
