using System.Threading.Channels;
using P2PWeights.Native;

namespace P2PWeights.Client.Updating.Devices;

/// <summary>A thread of the pool in the place of a copy engine: it takes what it is given in order.</summary>
internal sealed class HostStream : IDeviceStream
{
    private readonly HostDevice _device;
    private readonly HostDevice.SlotHold _slots;
    private readonly Channel<Work> _work = Channel.CreateUnbounded<Work>(new UnboundedChannelOptions { SingleReader = true });

    public HostStream(HostDevice device)
    {
        _device = device;
        _slots = device.Hold();
        _ = Task.Run(RunAsync); // ends with the stream, and lets go of the slots then
    }

    public void CopyIn(nint host, long offset, long length) => Give(new Work(host, _device.Address + (nint)offset, length, null, null));

    public void CopyTo(IUpdateDevice target, long offset, long length)
    {
        var other = (HostDevice)target;
        var hold = other.Hold();
        Give(new Work(_device.Address + (nint)offset, other.Address + (nint)offset, length, hold, null));
    }

    public Task MarkAsync()
    {
        var mark = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        Give(new Work(0, 0, 0, null, mark));
        return mark.Task;
    }

    public void Abandon() => Dispose();

    public void Dispose() => _work.Writer.TryComplete();

    private void Give(Work work)
    {
        if (!_work.Writer.TryWrite(work))
        {
            work.Target?.Dispose();
            throw new NativeException("host", "copy", 0, "the stream is closed", _device.Name);
        }
    }

    private async Task RunAsync()
    {
        try
        {
            await foreach (var work in _work.Reader.ReadAllAsync().ConfigureAwait(false))
            {
                work.Mark?.TrySetResult();
                Copy(work);
            }
        }
        finally
        {
            _slots.Dispose();
        }
    }

    private static unsafe void Copy(in Work work)
    {
        if (work.Length > 0)
        {
            Buffer.MemoryCopy((void*)work.Source, (void*)work.Destination, work.Length, work.Length);
        }

        work.Target?.Dispose();
    }

    private readonly record struct Work(nint Source, nint Destination, long Length, HostDevice.SlotHold? Target, TaskCompletionSource? Mark);
}
