using System.Buffers;
using P2PWeights.Native;
using P2PWeights.Native.Cuda;

namespace P2PWeights.Store.Gpu;

/// <summary>
/// Copies of one device, each within <see cref="CopyWatch.Deadline"/>. Those from and to the host take streams in turn; those to other devices go in batches, each on one stream, where copies
/// follow each other without an event in between. Thread-safe.
/// </summary>
internal sealed class CudaStreams : IDisposable
{
    private const int Streams = 4;

    private readonly CudaLinks _links;
    private readonly CudaStream[] _streams;
    private readonly CopyWatch _watch;
    private readonly CopyBatches<PeerCopy> _peerCopies;
    private int _turn;

    /// <exception cref="NativeException">The device failed.</exception>
    public CudaStreams(CudaDevice device, CudaLinks links)
    {
        (Device, _links, _watch) = (device, links, links.WatchOf(device));
        _streams = [.. Enumerable.Range(0, Streams).Select(_ => CudaStream.Create(device))];
        _peerCopies = new CopyBatches<PeerCopy>((lane, copies) => CopyAllAsync(_streams[lane], copies));
    }

    public CudaDevice Device { get; }

    /// <summary>What went to other devices.</summary>
    public GpuCopies Counts => _peerCopies.Counts;

    private CudaStream Next => _streams[(uint)Interlocked.Increment(ref _turn) % Streams];

    /// <summary>Copies from host memory to the device. At full speed, and without blocking, where the memory is registered.</summary>
    /// <exception cref="IOException">The device failed, or stalled.</exception>
    public async Task CopyInAsync(ReadOnlyMemory<byte> host, nint destination)
    {
        using var pin = host.Pin();
        var from = AddressOf(pin);
        await WithinAsync(() =>
        {
            var stream = Next;
            stream.CopyIn(destination, from, host.Length);
            return _links.Gpus.Marks.AddAsync(stream);
        }).ConfigureAwait(false);
    }

    /// <summary>Copies from the device to host memory, which is no longer written to when this has ended, in whatever way.</summary>
    /// <exception cref="IOException">The device failed, or stalled.</exception>
    public async Task CopyOutAsync(nint source, Memory<byte> host)
    {
        for (var done = 0; done < host.Length;)
        {
            var piece = host.Slice(done, Math.Min(CudaLinks.ReadBlockBytes, host.Length - done));
            await CopyPieceOutAsync(source + done, piece).ConfigureAwait(false);
            done += piece.Length;
        }
    }

    /// <summary>Copies from the device to another, or inside of it.</summary>
    /// <exception cref="IOException">One of the devices failed, or stalled.</exception>
    public Task CopyToAsync(nint source, CudaDevice target, nint destination, int length) =>
        WithinAsync(() => _peerCopies.AddAsync(new PeerCopy(source, target, destination, length)));

    public void Dispose()
    {
        foreach (var stream in _streams)
        {
            if (_links.IsStalled)
            {
                stream.Abandon();
            }

            stream.Dispose();
        }
    }

    private async Task CopyPieceOutAsync(nint source, Memory<byte> host)
    {
        var block = await _links.Reads.RentAsync(host.Length, CancellationToken.None).ConfigureAwait(false);
        try
        {
            var bytes = block.GetMemory(host.Length);
            using var pin = bytes.Pin();
            var to = AddressOf(pin);
            await WithinAsync(() =>
            {
                var stream = Next;
                stream.CopyOut(to, source, bytes.Length);
                return _links.Gpus.Marks.AddAsync(stream);
            }).ConfigureAwait(false);
            bytes.CopyTo(host);
        }
        catch (StalledDeviceException)
        {
            _links.Reads.Abandon(block);
            throw;
        }
        catch
        {
            _links.Reads.Return(block);
            throw;
        }

        _links.Reads.Return(block);
    }

    private async Task CopyAllAsync(CudaStream stream, IReadOnlyList<PeerCopy> copies)
    {
        try
        {
            foreach (var (source, target, destination, length) in copies)
            {
                if (target == Device)
                {
                    stream.Copy(destination, source, length);
                }
                else
                {
                    stream.CopyTo(target, destination, source, length);
                }
            }
        }
        catch (NativeException)
        {
            // Those that were given before may be under way, and their bytes must stay as long.
            await _links.Gpus.Marks.AddAsync(stream).ConfigureAwait(false);
            throw;
        }

        await _links.Gpus.Marks.AddAsync(stream).ConfigureAwait(false);
    }

    private async Task WithinAsync(Func<Task> begin)
    {
        try
        {
            await _watch.WithinAsync(begin).ConfigureAwait(false);
        }
        catch (StalledDeviceException)
        {
            _links.LeaveBehind(_streams);
            throw;
        }
    }

    private static unsafe nint AddressOf(in MemoryHandle pin) => (nint)pin.Pointer;

    /// <summary>One copy from the device.</summary>
    private readonly record struct PeerCopy(nint Source, CudaDevice Target, nint Destination, int Length);
}
