using System.Collections.Concurrent;
using System.Runtime.InteropServices;

namespace P2PWeights.Native.Cuda;

/// <summary>The GPUs that one part of this process works with, opened when they are first asked for and kept, with the thread that watches their copies. Thread-safe.</summary>
public sealed class CudaDevices : IDisposable
{
    /// <summary>One that could not be opened is tried again next time; of two that are opened at once, one is let go of.</summary>
    private readonly ConcurrentDictionary<int, Lazy<CudaDevice>> _opened = new();

    public CudaMarks Marks { get; } = new();

    private CudaDevice[] Opened => [.. _opened.Values.Where(device => device.IsValueCreated).Select(device => device.Value)];

    /// <exception cref="NativeException">There is no such GPU, or it failed; the message says which.</exception>
    public CudaDevice Open(int ordinal) => _opened.GetOrAdd(ordinal, number => new Lazy<CudaDevice>(() => CudaDevice.Open(number), LazyThreadSafetyMode.PublicationOnly)).Value;

    /// <summary>The GPU with a UUID, which has access to the others that were ever asked for and they to it, as far as they can; null when this process has no such GPU.</summary>
    /// <exception cref="NativeException">It failed.</exception>
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

    /// <summary>Registers host memory, through any GPU: the registration is every GPU's.</summary>
    /// <param name="owner">As of <see cref="RegisteredMemory.Register"/>.</param>
    /// <exception cref="NativeException">It cannot be pinned.</exception>
    public RegisteredMemory Register(nint address, long length, SafeHandle? owner = null) =>
        RegisteredMemory.Register(Opened is [var first, ..] ? first : Open(0), address, length, owner);

    public void Dispose()
    {
        Marks.Dispose();
        foreach (var device in Opened)
        {
            device.Dispose();
        }
    }
}
