using System.Collections.Concurrent;
using P2PWeights.Client.Engines;
using P2PWeights.Native.Cuda;
using P2PWeights.Native.Nccl;

namespace P2PWeights.Client.Updating.Devices;

/// <summary>The GPUs that this process may use, opened when they are first asked for and kept, with the thread that watches their copies.</summary>
internal sealed class CudaDevices : IUpdateDevices
{
    private readonly ConcurrentDictionary<int, Lazy<CudaDevice>> _opened = new();
    private readonly CudaMarks _marks = new();

    /// <exception cref="UpdateException">This machine has no CUDA.</exception>
    public CudaDevices()
    {
        if (CudaLibrary.Unavailable is { } reason)
        {
            throw new UpdateException($"the engine's weights are on a GPU, and this node reaches none: {reason}");
        }
    }

    public IUpdateDevice Open(EngineDevice device)
    {
        var known = CudaDevice.Uuids;
        var ordinal = known.ToList().IndexOf(device.Id);
        if (ordinal < 0)
        {
            throw new UpdateException(
                $"the engine's weights are on {device.Id}, which this node does not reach; it reaches {string.Join(", ", known)}: "
                + "the node must run on the engine's host, with CUDA_VISIBLE_DEVICES unset or naming the engine's GPUs");
        }

        // Both ways, among all that were ever asked for: whoever copies to whom is decided bucket by bucket.
        var found = Device(ordinal);
        foreach (var other in Opened)
        {
            if (other != found && found.CanAccess(other))
            {
                found.EnableAccess(other);
                other.EnableAccess(found);
            }
        }

        return new CudaUpdateDevice(found, _marks);
    }

    /// <summary>Through any device: the registration is every device's.</summary>
    public IDisposable Register(nint address, long length) => RegisteredMemory.Register(Opened is [var first, ..] ? first : Device(0), address, length);

    public ICollective OpenCollective(IReadOnlyList<IUpdateDevice> devices)
    {
        if (NcclLibrary.Unavailable is { } reason)
        {
            throw new UpdateException($"--broadcast nccl needs NCCL: {reason}; or leave the option out");
        }

        return new NcclCollective([.. devices.Cast<CudaUpdateDevice>()]);
    }

    public void Dispose()
    {
        _marks.Dispose();
        foreach (var device in Opened)
        {
            device.Dispose();
        }
    }

    private IReadOnlyList<CudaDevice> Opened => [.. _opened.Values.Where(device => device.IsValueCreated).Select(device => device.Value)];

    private CudaDevice Device(int ordinal) => _opened.GetOrAdd(ordinal, number => new Lazy<CudaDevice>(() => CudaDevice.Open(number))).Value;
}
