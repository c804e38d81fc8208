using P2PWeights.Native;
using P2PWeights.Native.Cuda;

namespace P2PWeights.Store.Gpu;

/// <summary>Copies from one device to another, or inside of it, in batches on streams of their own, so that a target that stalls holds up no other. Thread-safe.</summary>
internal sealed class CudaPeerCopies : IDisposable
{
    private readonly CudaDevice _target;
    private readonly bool _isInside;
    private readonly CudaLine[] _lines;
    private readonly CopyBatches<Copy> _batches;

    /// <exception cref="NativeException">The device failed.</exception>
    public CudaPeerCopies(CudaDevice source, CudaDevice target, CudaLinks links)
    {
        (_target, _isInside) = (target, source == target);
        _lines = [.. Enumerable.Range(0, CopyBatches<Copy>.Lanes).Select(_ => new CudaLine(source, links))];
        _batches = new CopyBatches<Copy>((lane, copies) => _lines[lane].CopyAsync(stream => Give(stream, copies)));
    }

    public GpuCopies Counts => _batches.Counts;

    /// <exception cref="NativeException">One of the devices failed.</exception>
    public Task AddAsync(nint source, nint destination, int length) => _batches.AddAsync(new Copy(source, destination, length));

    public void LeaveBehind() => Array.ForEach(_lines, line => line.LeaveBehind());

    public void Abandon() => Array.ForEach(_lines, line => line.Abandon());

    public void Dispose() => Array.ForEach(_lines, line => line.Dispose());

    private void Give(CudaStream stream, IReadOnlyList<Copy> copies)
    {
        foreach (var (source, destination, length) in copies)
        {
            if (_isInside)
            {
                stream.Copy(destination, source, length);
            }
            else
            {
                stream.CopyTo(_target, destination, source, length);
            }
        }
    }

    private readonly record struct Copy(nint Source, nint Destination, int Length);
}
