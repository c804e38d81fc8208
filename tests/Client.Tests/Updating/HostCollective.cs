using P2PWeights.Client.Updating.Devices;
using P2PWeights.Native;

namespace P2PWeights.Client.Tests.Updating;

/// <summary>An all-gather over devices in the host's memory: what NCCL does over GPUs. Aborted, it ends what is under way, also what a device would never end.</summary>
/// <param name="onAbort">Runs before an abort ends anything.</param>
/// <param name="onDispose">Runs before it is taken down.</param>
internal sealed class HostCollective(IReadOnlyList<IUpdateDevice> devices, Action onAbort, Action? onDispose = null) : ICollective
{
    private readonly IDeviceStream[] _streams = [.. devices.Select(device => device.OpenStream())];
    private readonly TaskCompletionSource _aborted = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public IReadOnlyList<Task> Gather(long offset, long partBytes)
    {
        if (_aborted.Task.IsCompleted)
        {
            throw Aborted();
        }

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

        return [.. _streams.Select(stream => WaitAsync(stream.MarkAsync()))];
    }

    public void Abort()
    {
        onAbort();
        _aborted.TrySetResult();
    }

    public void Dispose()
    {
        onDispose?.Invoke();
        foreach (var stream in _streams)
        {
            stream.Dispose();
        }
    }

    private async Task WaitAsync(Task mark)
    {
        await await Task.WhenAny(mark, _aborted.Task);
        if (_aborted.Task.IsCompleted)
        {
            throw Aborted();
        }
    }

    private static NativeException Aborted() => new("fault", "gather", 1, "the collective was aborted");
}
