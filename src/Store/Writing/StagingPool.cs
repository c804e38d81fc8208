using System.Collections.Concurrent;
using P2PWeights.Native;
using P2PWeights.Native.Cuda;
using P2PWeights.Native.Posix;

namespace P2PWeights.Store.Writing;

/// <summary>
/// The bounded room for shards that do not go to the arena: native memory, because network and devices write to it, and one mapping, so that a device registers it
/// once. The kernel supplies its pages when they are first written to. Whoever rents waits while all slots are out.
/// </summary>
internal sealed class StagingPool : IDisposable
{
    private readonly MemoryMapping _memory;
    private readonly SemaphoreSlim _free;
    private readonly ConcurrentBag<StagingSlot> _idle;
    private readonly int _slotBytes;
    private int _users = 1;

    public StagingPool(int slots, int slotBytes)
    {
        _memory = MemoryMapping.CreateAnonymous((long)slots * slotBytes);
        _slotBytes = slotBytes;
        Region = RegionOf(_memory);
        _free = new SemaphoreSlim(slots);
        _idle = [.. Enumerable.Range(0, slots).Select(i => new StagingSlot(_memory, (long)i * slotBytes, slotBytes))];
    }

    /// <summary>Where all slots lie, but not what a slot grows by for a shard larger than it.</summary>
    public MemoryRegion Region { get; }

    /// <summary>Waits for room of at least <paramref name="bytes"/> bytes. Whoever gets it gives it back with <see cref="Return"/>.</summary>
    public async ValueTask<StagingSlot> RentAsync(int bytes, CancellationToken cancellationToken)
    {
        await _free.WaitAsync(cancellationToken).ConfigureAwait(false);

        // As many are idle as the semaphore lets in: a slot is back in the bag before it is counted.
        _idle.TryTake(out var slot);
        Interlocked.Increment(ref _users);
        try
        {
            slot!.Grow(bytes);
            return slot;
        }
        catch
        {
            Return(slot!);
            throw;
        }
    }

    /// <summary>Registers all slots for GPUs. They stay mapped for as long as they are registered.</summary>
    /// <exception cref="NativeException">They cannot be pinned.</exception>
    public RegisteredMemory RegisterFor(CudaDevices gpus) => gpus.Register(Region.Address, Region.Length, _memory);

    /// <summary>Takes a slot back; nobody may use its memory any more.</summary>
    public void Return(StagingSlot slot)
    {
        slot.Shrink();
        _idle.Add(slot);
        _free.Release();
        Leave();
    }

    /// <summary>Takes a slot back whose memory a stalled device may still read or write: nobody gets it again, nor is it freed before the process ends, and another one takes its place.</summary>
    public void Abandon(StagingSlot slot)
    {
        GivenUpMemory.Keep(slot, _slotBytes);
        _idle.Add(new StagingSlot(MemoryMapping.CreateAnonymous(_slotBytes), 0, _slotBytes));
        _free.Release();
    }

    /// <summary>Frees the memory when the last slot is back. The semaphore has nothing to free and stays, for the late ones.</summary>
    public void Dispose() => Leave();

    private static unsafe MemoryRegion RegionOf(MemoryMapping memory) => new((nint)memory.Address, memory.Length);

    private void Leave()
    {
        if (Interlocked.Decrement(ref _users) == 0)
        {
            _memory.Dispose();
        }
    }
}
