using System.Buffers;
using P2PWeights.Native.Cuda;

namespace P2PWeights.Store.Gpu;

/// <summary>Streams of one device, taken in turn: one alone leaves a copy engine idle between two copies. Thread-safe.</summary>
internal sealed class CudaStreams(CudaDevice device, CudaMarks marks) : IDisposable
{
    private const int Streams = 4;

    private readonly CudaStream[] _streams = [.. Enumerable.Range(0, Streams).Select(_ => CudaStream.Create(device))];
    private int _turn;

    public CudaDevice Device => device;

    private CudaStream Next => _streams[(uint)Interlocked.Increment(ref _turn) % Streams];

    /// <summary>Copies from host memory to the device. At full speed, and without blocking, where the memory is registered.</summary>
    /// <exception cref="Native.NativeException">The device failed.</exception>
    public async Task CopyInAsync(ReadOnlyMemory<byte> host, nint destination)
    {
        using var pin = host.Pin();
        var stream = Next;
        stream.CopyIn(destination, AddressOf(pin), host.Length);
        await marks.AddAsync(stream).ConfigureAwait(false);
    }

    /// <summary>Copies from the device to host memory.</summary>
    /// <exception cref="Native.NativeException">The device failed.</exception>
    public async Task CopyOutAsync(nint source, Memory<byte> host)
    {
        using var pin = host.Pin();
        var stream = Next;
        stream.CopyOut(AddressOf(pin), source, host.Length);
        await marks.AddAsync(stream).ConfigureAwait(false);
    }

    /// <summary>Copies from the device to another, or inside of it.</summary>
    /// <exception cref="Native.NativeException">One of the devices failed.</exception>
    public Task CopyToAsync(nint source, CudaDevice target, nint destination, int length)
    {
        var stream = Next;
        if (target == device)
        {
            stream.Copy(destination, source, length);
        }
        else
        {
            stream.CopyTo(target, destination, source, length);
        }

        return marks.AddAsync(stream);
    }

    public void Dispose()
    {
        foreach (var stream in _streams)
        {
            stream.Dispose();
        }
    }

    private static unsafe nint AddressOf(in MemoryHandle pin) => (nint)pin.Pointer;
}
