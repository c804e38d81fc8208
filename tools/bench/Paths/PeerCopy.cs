using System.Diagnostics;
using P2PWeights.Bench.Measuring;
using P2PWeights.Native.Cuda;

namespace P2PWeights.Bench.Paths;

/// <summary>
/// The anchor: cuMemcpyPeerAsync between two GPUs in one process, or a copy inside one GPU, in pieces of 512 MiB on one stream; or in pieces of a shard on several streams in turn, to see what
/// small copies cost by themselves.
/// </summary>
internal sealed class PeerCopy : IDisposable
{
    /// <summary>The pieces of the anchor, and the memory that there is on each side.</summary>
    public const long PieceBytes = 512L << 20;

    /// <summary>The most streams that are used.</summary>
    public const int MostStreams = 4;

    private readonly CudaDevice _from;
    private readonly CudaDevice _to;
    private readonly CudaMemory _source;
    private readonly CudaMemory _target;
    private readonly CudaStream[] _streams;

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
        _streams = [.. Enumerable.Range(0, MostStreams).Select(_ => CudaStream.Create(_from))];
    }

    /// <summary>Copies as many bytes, in pieces that all are queued at once.</summary>
    /// <param name="pieceBytes">At most <see cref="PieceBytes"/>, of which it is a part.</param>
    /// <param name="streams">Streams that take the pieces in turn; at most <see cref="MostStreams"/>.</param>
    public Sample Copy(long bytes, long pieceBytes = PieceBytes, int streams = 1)
    {
        var cpu = CpuClock.SecondsOf(Environment.ProcessId);
        var started = Stopwatch.GetTimestamp();
        for (var (done, turn) = (0L, 0); done < bytes; done += pieceBytes, turn++)
        {
            var (stream, offset, piece) = (_streams[turn % streams], (nint)(done % PieceBytes), Math.Min(pieceBytes, bytes - done));
            if (_from == _to)
            {
                stream.Copy(_target.Address + offset, _source.Address + offset, piece);
            }
            else
            {
                stream.CopyTo(_to, _target.Address + offset, _source.Address + offset, piece);
            }
        }

        foreach (var stream in _streams)
        {
            stream.Synchronize();
        }

        var seconds = Stopwatch.GetElapsedTime(started).TotalSeconds;
        return Sample.Of(bytes, seconds, sending: 0, receiving: CpuClock.SecondsOf(Environment.ProcessId) - cpu);
    }

    public void Dispose()
    {
        foreach (var stream in _streams)
        {
            stream.Dispose();
        }

        _target.Dispose();
        _source.Dispose();
        _to.Dispose();
        _from.Dispose();
    }
}
