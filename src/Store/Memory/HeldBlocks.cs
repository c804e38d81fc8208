namespace P2PWeights.Store.Memory;

/// <summary>
/// Blocks of a run of memory, each kept by a count of holds: the index's while its record points there, one for every lease and one for every write. The last to let go
/// frees the block. Thread-safe; the lock is held for bookkeeping only.
/// </summary>
/// <param name="units">Units of the memory; see <see cref="BuddyAllocator"/>.</param>
internal sealed class HeldBlocks(int units)
{
    private readonly BuddyAllocator _blocks = new(units);
    private readonly int[] _holds = new int[units];
    private readonly Lock _gate = new();

    public int Units => _holds.Length;

    public long QuotaBytes => (long)Units * BuddyAllocator.UnitBytes;

    /// <summary>Bytes of all blocks in use, rounding included.</summary>
    public long UsedBytes
    {
        get
        {
            lock (_gate)
            {
                return (long)(Units - _blocks.FreeUnits) * BuddyAllocator.UnitBytes;
            }
        }
    }

    /// <summary>All holds there are.</summary>
    public long Holds
    {
        get
        {
            var holds = 0L;
            foreach (ref var count in _holds.AsSpan())
            {
                holds += Volatile.Read(ref count);
            }

            return holds;
        }
    }

    /// <summary>Bytes that a shard takes.</summary>
    public static long BlockBytes(int size) => (long)BuddyAllocator.UnitBytes << BuddyAllocator.OrderFor(size);

    /// <summary>Takes a block and holds it for the caller; false when no block is free.</summary>
    public bool TryAllocate(int size, out int unit)
    {
        lock (_gate)
        {
            if (!_blocks.TryAllocate(BuddyAllocator.OrderFor(size), out unit))
            {
                return false;
            }

            _holds[unit] = 1;
            return true;
        }
    }

    /// <summary>Takes one certain block, as found in memory that outlived its process, and holds it; false when any part of it is taken or outside.</summary>
    public bool TryReserve(int unit, int size)
    {
        lock (_gate)
        {
            if (!_blocks.TryReserve(unit, BuddyAllocator.OrderFor(size)))
            {
                return false;
            }

            _holds[unit] = 1;
            return true;
        }
    }

    /// <summary>Adds a hold. The caller sees to it that one exists, by having the index's record locked.</summary>
    public void Hold(int unit) => Interlocked.Increment(ref _holds[unit]);

    /// <summary>Whether anybody holds the block that starts at a unit.</summary>
    public bool IsHeld(int unit) => Volatile.Read(ref _holds[unit]) > 0;

    /// <summary>Whether anybody besides the index holds a published block.</summary>
    public bool IsLeased(int unit) => Volatile.Read(ref _holds[unit]) > 1;

    /// <summary>Ends one hold.</summary>
    public void Release(int unit)
    {
        if (Interlocked.Decrement(ref _holds[unit]) == 0)
        {
            lock (_gate)
            {
                _blocks.Free(unit);
            }
        }
    }
}
