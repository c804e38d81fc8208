using System.Collections.Concurrent;
using P2PWeights.Native;
using P2PWeights.Native.Cuda;
using P2PWeights.Store.Writing;

namespace P2PWeights.Store.Gpu;

/// <summary>
/// What the gpu tier copies by on real GPUs: the GPUs, and the host memory that bytes pass through. Copies out of a GPU go through blocks of their own, because a device that
/// stalls may write to them whenever it wakes up. After a stall nothing here is freed, which would wait for the device; it goes with the process.
/// </summary>
internal sealed class CudaLinks(TimeProvider time) : IDisposable
{
    private const int ReadBlocks = 8;

    /// <summary>Bytes that one copy out of a GPU has: of the size in which replicas are hashed.</summary>
    public const int ReadBlockBytes = 1 << 20;

    private readonly List<RegisteredMemory> _registered = [];
    private readonly ConcurrentDictionary<string, CopyWatch> _watches = new();
    private volatile bool _isStalled;

    public CudaDevices Gpus { get; } = new();

    /// <summary>Blocks for copies out of GPUs.</summary>
    public StagingPool Reads { get; } = new(ReadBlocks, ReadBlockBytes);

    /// <summary>Whether a device has stalled.</summary>
    public bool IsStalled => _isStalled;

    /// <summary>One per device, whoever's memory is copied there: a device that has stalled has done so for all.</summary>
    public CopyWatch WatchOf(CudaDevice device) => _watches.GetOrAdd(device.Uuid, uuid => new CopyWatch(uuid, time));

    /// <summary>Registers memory that shards go to GPUs from, and the blocks for the other direction.</summary>
    /// <exception cref="NativeException">It cannot be pinned; copies are slower then.</exception>
    public void Register(MemoryRegion staging)
    {
        _registered.Add(Gpus.Register(Reads.Region.Address, Reads.Region.Length));
        _registered.Add(Gpus.Register(staging.Address, staging.Length));
    }

    /// <summary>Called while the staging memory is still mapped.</summary>
    public void Unregister()
    {
        foreach (var registered in _isStalled ? [] : _registered)
        {
            registered.Dispose();
        }
    }

    /// <summary>A device has stalled: its streams are watched no longer.</summary>
    public void LeaveBehind(IEnumerable<CudaStream> streams)
    {
        _isStalled = true;
        foreach (var stream in streams)
        {
            Gpus.Marks.Forget(stream);
        }
    }

    public void Dispose()
    {
        if (!_isStalled)
        {
            Reads.Dispose();
            Gpus.Dispose();
        }
    }
}
