using System.Diagnostics;
using P2PWeights.Bench.Measuring;
using P2PWeights.Native.Cuda;

namespace P2PWeights.Bench.Paths;

/// <summary>The anchor: cuMemcpyPeerAsync between two GPUs in one process, or a copy inside one GPU, in pieces of 512 MiB on one stream.</summary>
internal sealed class PeerCopy : IDisposable
{
    private const long PieceBytes = 512L << 20;

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

    public Sample Copy(long bytes)
    {
        var cpu = CpuClock.SecondsOf(Environment.ProcessId);
        var started = Stopwatch.GetTimestamp();
        for (var done = 0L; done < bytes; done += PieceBytes)
        {
            var piece = Math.Min(PieceBytes, bytes - done);
            if (_from == _to)
            {
                _stream.Copy(_target.Address, _source.Address, piece);
            }
            else
            {
                _stream.CopyTo(_to, _target.Address, _source.Address, piece);
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
}
