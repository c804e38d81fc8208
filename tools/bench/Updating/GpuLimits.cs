using System.Diagnostics;
using P2PWeights.Native.Cuda;
using P2PWeights.Store;

namespace P2PWeights.Bench.Updating;

/// <summary>
/// What the links of this machine do when nothing else is asked of them: the bounds of every update. The median of several passes after one that does not count, because the same copies differ
/// by 5 % from pass to pass; and the best of them, which no update can hope to keep up.
/// </summary>
internal sealed class GpuLimits : IDisposable
{
    private const long CopyBytes = 512L << 20;

    /// <summary>Per pass and direction: 4 GiB, a tenth of a second and less.</summary>
    private const int Copies = 8;

    /// <summary>So that 20 GiB count in each direction.</summary>
    private const int Passes = 5;

    /// <summary>After this, on a slow machine, the passes so far have to do.</summary>
    private static readonly TimeSpan MostTime = TimeSpan.FromSeconds(5);

    private readonly CudaDevice[] _devices;
    private readonly CudaMemory[] _memory;
    private readonly CudaStream[] _streams;
    private readonly MemoryRegion _host;

    /// <summary>What one copy from the host moves.</summary>
    private long HostBytes => Math.Min(CopyBytes, _host.Length);

    /// <param name="host">Registered memory to copy from.</param>
    public GpuLimits(int devices, MemoryRegion host)
    {
        _host = host;
        _devices = [.. Enumerable.Range(0, devices).Select(CudaDevice.Open)];
        _memory = [.. _devices.Select(device => CudaMemory.Allocate(device, 2 * CopyBytes))];
        _streams = [.. _devices.Select(CudaStream.Create)];
    }

    /// <summary>Bytes per second from the host to some of the devices at once.</summary>
    public (double Median, double Best) HostToDevice(params int[] devices) => Rate(devices.Length * Copies * HostBytes, () =>
    {
        for (var copy = 0; copy < Copies; copy++)
        {
            foreach (var device in devices)
            {
                var offset = ((copy * devices.Length) + device) * HostBytes % Math.Max(1, _host.Length - HostBytes);
                _streams[device].CopyIn(_memory[device].Address, _host.Address + (nint)offset, HostBytes);
            }
        }
    });

    /// <summary>Bytes per second that each device receives while every device copies to every other.</summary>
    public double DeviceToDevice() => Rate(Copies * CopyBytes * (_devices.Length - 1), () =>
    {
        for (var copy = 0; copy < Copies; copy++)
        {
            for (var from = 0; from < _devices.Length; from++)
            {
                for (var to = 0; to < _devices.Length; to++)
                {
                    if (to != from)
                    {
                        _streams[from].CopyTo(_devices[to], _memory[to].Address + (nint)CopyBytes, _memory[from].Address, CopyBytes);
                    }
                }
            }
        }
    }).Median;

    public void Dispose()
    {
        foreach (var handle in _streams.Cast<IDisposable>().Concat(_memory).Concat(_devices))
        {
            handle.Dispose();
        }
    }

    /// <summary>Of the passes after the first, which warms up, and is all there is on a machine that takes too long.</summary>
    private (double Median, double Best) Rate(long bytes, Action copy)
    {
        var begun = Stopwatch.GetTimestamp();
        var first = Pass(bytes, copy);
        var rates = new List<double>();
        while (rates.Count < Passes && Stopwatch.GetElapsedTime(begun) < MostTime)
        {
            rates.Add(Pass(bytes, copy));
        }

        return rates.Count == 0 ? (first, first) : (rates.Order().ElementAt(rates.Count / 2), rates.Max());
    }

    private double Pass(long bytes, Action copy)
    {
        var watch = Stopwatch.StartNew();
        copy();
        foreach (var stream in _streams)
        {
            stream.Synchronize();
        }

        return bytes / watch.Elapsed.TotalSeconds;
    }
}
