using System.Collections.Concurrent;
using P2PWeights.Native.Cuda;

namespace P2PWeights.Store.Gpu;

/// <summary>The GPUs that the gpu tier works with, opened when they are first asked for and kept, with the thread that watches their copies. Thread-safe.</summary>
internal sealed class CudaGpus : IDisposable
{
    private readonly ConcurrentDictionary<int, Lazy<CudaDevice>> _opened = new();

    public CudaMarks Marks { get; } = new();

    private IEnumerable<CudaDevice> Opened => _opened.Values.Where(opened => opened.IsValueCreated).Select(opened => opened.Value);

    /// <exception cref="Native.NativeException">There is no such GPU, or it failed; the message says which.</exception>
    public CudaDevice Open(int ordinal) => _opened.GetOrAdd(ordinal, number => new Lazy<CudaDevice>(() => CudaDevice.Open(number))).Value;

    /// <summary>Registers host memory, for every GPU.</summary>
    /// <exception cref="Native.NativeException">It cannot be pinned.</exception>
    public RegisteredMemory Register(MemoryRegion host) => RegisteredMemory.Register(Opened.First(), host.Address, host.Length);

    /// <summary>The GPU with a UUID, which has access to the other ones and they to it, as far as they can; null when this process has no such GPU.</summary>
    /// <exception cref="Native.NativeException">It failed.</exception>
    public CudaDevice? Find(string uuid)
    {
        var ordinal = CudaDevice.Uuids.ToList().IndexOf(uuid);
        if (ordinal < 0)
        {
            return null;
        }

        var found = Open(ordinal);
        foreach (var other in Opened.Where(other => other != found && found.CanAccess(other) && other.CanAccess(found)))
        {
            found.EnableAccess(other);
            other.EnableAccess(found);
        }

        return found;
    }

    public void Dispose()
    {
        Marks.Dispose();
        foreach (var device in Opened)
        {
            device.Dispose();
        }
    }
}
