using System.Runtime.InteropServices;
using P2PWeights.Native;
using P2PWeights.Native.Cuda;

namespace P2PWeights.Store.Gpu;

/// <summary>Copies from one device to another, or inside of it, in batches on streams of their own, so that a target that stalls holds up no other. Thread-safe.</summary>
internal sealed class CudaPeerCopies : IDisposable
{
    private readonly CudaDevice _target;
    private readonly bool _isInside;
    private readonly CudaLine[] _lines;
    private readonly CopyBatches<DeviceCopy> _batches;

    /// <exception cref="NativeException">The device failed.</exception>
    public CudaPeerCopies(CudaDevice source, CudaDevice target, CudaLinks links)
    {
        (_target, _isInside) = (target, source == target);
        _lines = [.. Enumerable.Range(0, CopyBatches<DeviceCopy>.Lanes).Select(_ => new CudaLine(source, links))];
        _batches = new CopyBatches<DeviceCopy>((lane, copies) => _lines[lane].CopyAsync(stream => Give(stream, copies)));
    }

    public GpuCopies Counts => _batches.Counts;

    /// <exception cref="NativeException">One of the devices failed.</exception>
    public Task AddAsync(nint source, nint destination, int length) => _batches.AddAsync(new DeviceCopy(source, destination, length));

    public void LeaveBehind() => Array.ForEach(_lines, line => line.LeaveBehind());

    public void Abandon() => Array.ForEach(_lines, line => line.Abandon());

    public void Dispose() => Array.ForEach(_lines, line => line.Dispose());

    private void Give(CudaStream stream, List<DeviceCopy> copies)
    {
        if (!_isInside)
        {
            stream.CopyTo(_target, CollectionsMarshal.AsSpan(copies));
            return;
        }

        foreach (var (source, destination, length) in copies)
        {
            stream.Copy(destination, source, length);
        }
    }
}
