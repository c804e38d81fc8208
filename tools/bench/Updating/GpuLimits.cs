using System.Diagnostics;
using P2PWeights.Native.Cuda;
using P2PWeights.Store;

namespace P2PWeights.Bench.Updating;

/// <summary>What the links of this machine do when nothing else is asked of them: the bounds of every update.</summary>
internal sealed class GpuLimits : IDisposable
{
    private const long CopyBytes = 512L << 20;
    private const int Copies = 4;

    private readonly CudaDevice[] _devices;
    private readonly CudaMemory[] _memory;
    private readonly CudaStream[] _streams;
    private readonly MemoryRegion _host;

    /// <param name="host">Registered memory to copy from.</param>
    public GpuLimits(int devices, MemoryRegion host)
    {
        _host = host;
        _devices = [.. Enumerable.Range(0, devices).Select(CudaDevice.Open)];
        _memory = [.. _devices.Select(device => CudaMemory.Allocate(device, 2 * CopyBytes))];
        _streams = [.. _devices.Select(CudaStream.Create)];
    }

    /// <summary>Bytes per second from the host to some of the devices at once.</summary>
    public double HostToDevice(params int[] devices) => Rate(devices.Length * Copies * CopyBytes, () =>
    {
        for (var copy = 0; copy < Copies; copy++)
        {
            foreach (var device in devices)
            {
                var offset = ((copy * devices.Length) + device) * CopyBytes % Math.Max(1, _host.Length - CopyBytes);
                _streams[device].CopyIn(_memory[device].Address, _host.Address + (nint)offset, Math.Min(CopyBytes, _host.Length));
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
    });

    public void Dispose()
    {
        foreach (var handle in _streams.Cast<IDisposable>().Concat(_memory).Concat(_devices))
        {
            handle.Dispose();
        }
    }

    private double Rate(long bytes, Action copy)
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
