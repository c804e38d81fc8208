using P2PWeights.Native;
using P2PWeights.Native.Cuda;

namespace P2PWeights.Store.Gpu;

/// <summary>A stream to which one thread at a time gives copies: a driver may wait when its device does, and then no more threads wait with it. Thread-safe.</summary>
/// <exception cref="NativeException">The device failed.</exception>
internal sealed class CudaLine(CudaDevice device, CudaLinks links) : IDisposable
{
    private readonly CudaStream _stream = CudaStream.Create(device);
    private readonly SemaphoreSlim _giving = new(1);

    /// <summary>Gives copies, and ends when they are done.</summary>
    /// <exception cref="NativeException">The device failed; nothing of this is under way any more.</exception>
    public async Task CopyAsync(Action<CudaStream> give)
    {
        Task done;
        await _giving.WaitAsync().ConfigureAwait(false);
        try
        {
            done = links.Gpus.Marks.CopyAsync(_stream, give);
        }
        finally
        {
            _giving.Release();
        }

        await done.ConfigureAwait(false);
    }

    /// <summary>The device has stalled: what was given is watched no longer, and no finalizer destroys the stream.</summary>
    public void LeaveBehind()
    {
        links.Gpus.Marks.Forget(_stream);
        GivenUpMemory.Keep(this);
    }

    /// <summary>Gives the stream up without destroying it, which would wait for what it has to do.</summary>
    public void Abandon()
    {
        LeaveBehind();
        _stream.Abandon();
    }

    /// <summary>The semaphore has nothing to free and stays, for those who still wait with a device that stalled.</summary>
    public void Dispose() => _stream.Dispose();
}
