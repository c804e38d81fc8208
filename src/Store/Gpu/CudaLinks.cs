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
    private int _isStalled;

    public CudaDevices Gpus { get; } = new();

    /// <summary>Blocks for copies out of GPUs.</summary>
    public StagingPool Reads { get; } = new(ReadBlocks, ReadBlockBytes);

    /// <summary>Whether a device has stalled.</summary>
    public bool IsStalled => Volatile.Read(ref _isStalled) != 0;

    /// <summary>Of all copies, whoever's memory they are in.</summary>
    public CopyWatches Watches { get; } = new(time);

    /// <summary>Registers memory that shards go to GPUs from, and the blocks for the other direction.</summary>
    /// <exception cref="NativeException">It cannot be pinned; copies are slower then.</exception>
    public void Register(StagingPool staging)
    {
        _registered.Add(Reads.RegisterFor(Gpus));
        _registered.Add(staging.RegisterFor(Gpus));
    }

    /// <summary>Lets go of that memory; after a stall it stays registered, and mapped.</summary>
    public void Unregister()
    {
        foreach (var registered in IsStalled ? [] : _registered)
        {
            registered.Dispose();
        }
    }

    /// <summary>A device has stalled. Called before anybody who waited for it is told.</summary>
    public void LeaveBehind()
    {
        if (Interlocked.Exchange(ref _isStalled, 1) == 0)
        {
            GivenUpMemory.Keep(this);
        }
    }

    public void Dispose()
    {
        if (!IsStalled)
        {
            Reads.Dispose();
            Gpus.Dispose();
        }
    }
}
