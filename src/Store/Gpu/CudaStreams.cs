using System.Buffers;
using System.Collections.Concurrent;
using P2PWeights.Native;
using P2PWeights.Native.Cuda;

namespace P2PWeights.Store.Gpu;

/// <summary>
/// Copies of one device, each within <see cref="CopyWatch.Deadline"/>. Those from and to the host take streams in turn; those to other devices go in batches, each on one stream, where copies
/// follow each other without an event in between. Thread-safe.
/// </summary>
internal sealed class CudaStreams : IDisposable
{
    private const int HostLines = 4;

    private readonly CudaLinks _links;
    private readonly string _name;
    private readonly CudaLine[] _lines;

    /// <summary>By the target.</summary>
    private readonly ConcurrentDictionary<CudaDevice, CudaPeerCopies> _peers = new();
    private readonly Lock _opening = new();
    private int _turn;

    /// <exception cref="NativeException">The device failed.</exception>
    public CudaStreams(CudaDevice device, CudaLinks links)
    {
        (Device, _links, _name) = (device, links, device.Uuid);
        _lines = [.. Enumerable.Range(0, HostLines).Select(_ => new CudaLine(device, links))];
    }

    public CudaDevice Device { get; }

    /// <summary>What went to other devices.</summary>
    public GpuCopies Counts => _peers.Values.Aggregate(default(GpuCopies), (sum, peer) => sum + peer.Counts);

    private CudaLine Next => _lines[(uint)Interlocked.Increment(ref _turn) % HostLines];

    /// <summary>Copies from host memory to the device. At full speed where the memory is registered.</summary>
    /// <exception cref="IOException">The device failed, or stalled.</exception>
    public async Task CopyInAsync(ReadOnlyMemory<byte> host, nint destination)
    {
        using var pin = host.Pin();
        var from = AddressOf(pin);
        await WithHostAsync(stream => stream.CopyIn(destination, from, host.Length)).ConfigureAwait(false);
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

    /// <summary>Copies from the device to an arena on another, or on the same.</summary>
    /// <exception cref="IOException">One of the devices failed, or stalled.</exception>
    public async Task CopyToAsync(nint source, CudaGpuArena target, nint destination, int length)
    {
        try
        {
            await (target.Gpu == Device
                ? _links.Watches.WithinAsync(_name, () => PeerOf(target.Gpu).AddAsync(source, destination, length))
                : _links.Watches.WithinAsync(_name, target.Device, () => PeerOf(target.Gpu).AddAsync(source, destination, length))).ConfigureAwait(false);
        }
        catch (StalledDeviceException)
        {
            _links.LeaveBehind();
            if (_peers.TryGetValue(target.Gpu, out var peer))
            {
                peer.LeaveBehind();
            }

            throw;
        }
    }

    /// <summary>Gives all up without destroying it, because a device has stalled or somebody still uses its memory.</summary>
    public void Abandon()
    {
        Array.ForEach(_lines, line => line.Abandon());
        foreach (var peer in _peers.Values)
        {
            peer.Abandon();
        }
    }

    public void Dispose()
    {
        Array.ForEach(_lines, line => line.Dispose());
        foreach (var peer in _peers.Values)
        {
            peer.Dispose();
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
            await WithHostAsync(stream => stream.CopyOut(to, source, bytes.Length)).ConfigureAwait(false);
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

    private async Task WithHostAsync(Action<CudaStream> give)
    {
        try
        {
            await _links.Watches.WithinAsync(_name, () => Next.CopyAsync(give)).ConfigureAwait(false);
        }
        catch (StalledDeviceException)
        {
            _links.LeaveBehind();
            Array.ForEach(_lines, line => line.LeaveBehind());
            throw;
        }
    }

    private CudaPeerCopies PeerOf(CudaDevice target)
    {
        if (_peers.TryGetValue(target, out var peer))
        {
            return peer;
        }

        lock (_opening)
        {
            return _peers.GetOrAdd(target, static (device, self) => new CudaPeerCopies(self.Device, device, self._links), this);
        }
    }

    private static unsafe nint AddressOf(in MemoryHandle pin) => (nint)pin.Pointer;
}
