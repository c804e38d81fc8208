using System.Numerics;

namespace P2PWeights.Store.Memory;

/// <summary>
/// Divides the arena into blocks of 64 KiB to 16 MiB, each a power of two of units and aligned to its own size, so that two freed
/// neighbours melt back into the block that they were cut from. Knows unit numbers only, never memory. Not thread-safe.
/// </summary>
internal sealed class BuddyAllocator
{
    /// <summary>Smallest block, in bytes.</summary>
    public const int UnitBytes = 64 << 10;

    /// <summary>Largest block is <c>UnitBytes &lt;&lt; MaxOrder</c>: 16 MiB, the usual largest shard.</summary>
    public const int MaxOrder = 8;

    /// <summary>Largest block, in bytes.</summary>
    public const int MaxBlockBytes = UnitBytes << MaxOrder;

    private const int None = -1;

    /// <summary>Per unit: <c>order + 1</c> where a free block starts, <c>-(order + 1)</c> where a used one starts, 0 inside blocks.</summary>
    private readonly sbyte[] _starts;

    // Free blocks of one order are a doubly linked list through these, so that a buddy leaves its list in constant time.
    private readonly int[] _next;
    private readonly int[] _previous;
    private readonly int[] _heads = new int[MaxOrder + 1];

    /// <param name="units">Units to divide; a multiple of the largest block.</param>
    public BuddyAllocator(int units)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(units & ((1 << MaxOrder) - 1), 0, nameof(units));
        (Units, FreeUnits) = (units, units);
        _starts = new sbyte[units];
        _next = new int[units];
        _previous = new int[units];
        Array.Fill(_heads, None);
        for (var unit = units - (1 << MaxOrder); unit >= 0; unit -= 1 << MaxOrder)
        {
            PushFree(unit, MaxOrder);
        }
    }

    public int Units { get; }

    public int FreeUnits { get; private set; }

    /// <summary>The order of the smallest block that holds <paramref name="bytes"/>; above <see cref="MaxOrder"/> when none does.</summary>
    public static int OrderFor(int bytes) => BitOperations.Log2(BitOperations.RoundUpToPowerOf2((uint)Math.Max(1, (bytes + (long)UnitBytes - 1) / UnitBytes)));

    /// <summary>Takes a block of the order given; false when no free block is large enough.</summary>
    public bool TryAllocate(int order, out int unit)
    {
        for (var larger = order; larger <= MaxOrder; larger++)
        {
            if (_heads[larger] is var found and not None)
            {
                Take(found, larger, found, order);
                unit = found;
                return true;
            }
        }

        unit = None;
        return false;
    }

    /// <summary>Takes one certain block, as found in memory that outlived its process; false when any part of it is taken or outside.</summary>
    public bool TryReserve(int unit, int order)
    {
        if (unit < 0 || order is < 0 or > MaxOrder || (long)unit + (1 << order) > Units || (unit & ((1 << order) - 1)) != 0)
        {
            return false;
        }

        for (var larger = order; larger <= MaxOrder; larger++)
        {
            var start = unit & ~((1 << larger) - 1);
            if (_starts[start] == larger + 1)
            {
                Take(start, larger, unit, order);
                return true;
            }
        }

        return false;
    }

    /// <summary>Gives a block back.</summary>
    /// <exception cref="InvalidOperationException">No used block starts there: a double free, which must never go on to share memory between two shards.</exception>
    public void Free(int unit)
    {
        if (_starts[unit] >= 0)
        {
            throw new InvalidOperationException($"no used block starts at unit {unit}");
        }

        var order = OrderAt(unit);
        _starts[unit] = 0;
        FreeUnits += 1 << order;
        while (order < MaxOrder && _starts[unit ^ (1 << order)] == order + 1)
        {
            RemoveFree(unit ^ (1 << order), order);
            unit &= ~(1 << order);
            order++;
        }

        PushFree(unit, order);
    }

    /// <summary>The order of the used block that starts at <paramref name="unit"/>.</summary>
    public int OrderAt(int unit) => -_starts[unit] - 1;

    /// <summary>Cuts the free block at <paramref name="start"/> down to the wanted one, giving back the other halves.</summary>
    private void Take(int start, int startOrder, int unit, int order)
    {
        RemoveFree(start, startOrder);
        while (startOrder > order)
        {
            startOrder--;
            var upper = start + (1 << startOrder);
            if (unit >= upper)
            {
                PushFree(start, startOrder);
                start = upper;
            }
            else
            {
                PushFree(upper, startOrder);
            }
        }

        _starts[unit] = (sbyte)-(order + 1);
        FreeUnits -= 1 << order;
    }

    private void PushFree(int unit, int order)
    {
        _starts[unit] = (sbyte)(order + 1);
        _next[unit] = _heads[order];
        _previous[unit] = None;
        if (_heads[order] != None)
        {
            _previous[_heads[order]] = unit;
        }

        _heads[order] = unit;
    }

    private void RemoveFree(int unit, int order)
    {
        _starts[unit] = 0;
        if (_previous[unit] == None)
        {
            _heads[order] = _next[unit];
        }
        else
        {
            _next[_previous[unit]] = _next[unit];
        }

        if (_next[unit] != None)
        {
            _previous[_next[unit]] = _previous[unit];
        }
    }
}
