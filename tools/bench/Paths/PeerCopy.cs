using System.Diagnostics;
using System.Runtime.InteropServices;
using P2PWeights.Bench.Measuring;
using P2PWeights.Native.Cuda;

namespace P2PWeights.Bench.Paths;

/// <summary>
/// The anchor: cuMemcpyPeerAsync between two GPUs in one process, or a copy inside one GPU, in pieces of 512 MiB on one stream; or in pieces of a shard, one by one or many in one call,
/// to see what small copies cost by themselves.
/// </summary>
internal sealed class PeerCopy : IDisposable
{
    /// <summary>The pieces of the anchor, and the memory that there is on each side.</summary>
    public const long PieceBytes = 512L << 20;

    private readonly CudaDevice _from;
    private readonly CudaDevice _to;
    private readonly CudaMemory _source;
    private readonly CudaMemory _target;
    private readonly CudaStream _stream;

    public PeerCopy(int from, int to)
    {
        _from = CudaDevice.Open(from);
        _to = from == to ? _from : CudaDevice.Open(to);
        if (_from != _to && _from.CanAccess(_to) && _to.CanAccess(_from))
        {
            _from.EnableAccess(_to);
            _to.EnableAccess(_from);
        }

        _source = CudaMemory.Allocate(_from, PieceBytes);
        _target = CudaMemory.Allocate(_to, PieceBytes);
        _stream = CudaStream.Create(_from);
    }

    /// <summary>Copies as many bytes, in pieces that all are queued at once.</summary>
    /// <param name="pieceBytes">A part of <see cref="PieceBytes"/>, or that.</param>
    /// <param name="together">Pieces that are given in one call; no more than <see cref="PieceBytes"/> has.</param>
    public Sample Copy(long bytes, long pieceBytes = PieceBytes, int together = 1)
    {
        var cpu = CpuClock.SecondsOf(Environment.ProcessId);
        var started = Stopwatch.GetTimestamp();
        var pieces = new List<DeviceCopy>(together);
        for (var done = 0L; done < bytes; done += pieceBytes)
        {
            var offset = (nint)(done % PieceBytes);
            pieces.Add(new DeviceCopy(_source.Address + offset, _target.Address + offset, Math.Min(pieceBytes, bytes - done)));
            if (pieces.Count == together || done + pieceBytes >= bytes)
            {
                Give(pieces);
                pieces.Clear();
            }
        }

        _stream.Synchronize();
        var seconds = Stopwatch.GetElapsedTime(started).TotalSeconds;
        return Sample.Of(bytes, seconds, sending: 0, receiving: CpuClock.SecondsOf(Environment.ProcessId) - cpu);
    }

    public void Dispose()
    {
        _stream.Dispose();
        _target.Dispose();
        _source.Dispose();
        _to.Dispose();
        _from.Dispose();
    }

    private void Give(List<DeviceCopy> pieces)
    {
        if (_from != _to)
        {
            _stream.CopyTo(_to, CollectionsMarshal.AsSpan(pieces));
            return;
        }

        foreach (var (source, destination, length) in pieces)
        {
            _stream.Copy(destination, source, length);
        }
    }
}
