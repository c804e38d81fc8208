using System.Collections.Concurrent;
using P2PWeights.Native.Posix;

namespace P2PWeights.Store.Writing;

/// <summary>
/// The bounded room for shards that do not go to the arena: native memory, because network and devices write to it. Slots are made when first
/// needed and kept; a slot grows when a shard is larger than it. Whoever rents waits while all are out.
/// </summary>
internal sealed class StagingPool(int slots, int slotBytes) : IDisposable
{
    private readonly SemaphoreSlim _free = new(slots);
    private readonly ConcurrentBag<MemoryMapping> _idle = [];
    private volatile bool _disposed;

    /// <summary>Waits for a slot of at least <paramref name="bytes"/> bytes. Whoever gets it gives it back with <see cref="Return"/>.</summary>
    public async ValueTask<MemoryMapping> RentAsync(int bytes, CancellationToken cancellationToken)
    {
        await _free.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            if (_idle.TryTake(out var slot))
            {
                if (slot.Length >= bytes)
                {
                    return slot;
                }

                slot.Dispose();
            }

            return MemoryMapping.CreateAnonymous(Math.Max(slotBytes, bytes));
        }
        catch
        {
            _free.Release();
            throw;
        }
    }

    /// <summary>Takes a slot back; nobody may use its memory any more.</summary>
    public void Return(MemoryMapping slot)
    {
        _idle.Add(slot);
        if (_disposed)
        {
            DropIdle();
        }
        else
        {
            _free.Release();
        }
    }

    /// <summary>Frees the slots that are back; those still out go as they come. The semaphore has nothing to free and stays, for the late ones.</summary>
    public void Dispose()
    {
        _disposed = true;
        DropIdle();
    }

    private void DropIdle()
    {
        while (_idle.TryTake(out var slot))
        {
            slot.Dispose();
        }
    }
}
