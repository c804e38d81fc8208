using P2PWeights.Native.Posix;

namespace P2PWeights.Store.Writing;

/// <summary>Room for one shard in the staging memory, rented from a <see cref="StagingPool"/>.</summary>
internal sealed class StagingSlot(MemoryMapping pool, long offset, int bytes)
{
    private MemoryMapping? _oversize;

    /// <summary>Makes room for a shard larger than a slot, apart from the pool's memory, until <see cref="Shrink"/>.</summary>
    public void Grow(int wanted)
    {
        if (wanted > bytes)
        {
            _oversize = MemoryMapping.CreateAnonymous(wanted);
        }
    }

    /// <summary>The first <paramref name="size"/> bytes of the room.</summary>
    public Memory<byte> GetMemory(int size) => _oversize?.GetMemory(0, size) ?? pool.GetMemory(offset, size);

    public void Shrink()
    {
        _oversize?.Dispose();
        _oversize = null;
    }
}
