using Microsoft.Win32.SafeHandles;
using P2PWeights.Store.Adopting;
using P2PWeights.Store.Content;
using P2PWeights.Store.Gpu;
using P2PWeights.Store.Reuse;

namespace P2PWeights.Store.Leasing;

/// <summary>A replica that is kept in its place for one lease after the other; what a <see cref="ShardLease"/> stands on. Filled and emptied by its <see cref="LeaseDesk"/>.</summary>
internal sealed class HeldReplica : Reused
{
    private LeaseDesk _desk = null!;

    public ShardInfo Shard { get; private set; }

    public Tiers Tier { get; private set; }

    /// <summary>The file; none of a replica on a GPU.</summary>
    public SafeFileHandle File { get; private set; } = null!;

    /// <summary>Full path that led to the file.</summary>
    public string Path { get; private set; } = null!;

    /// <summary>Where in the file the bytes start.</summary>
    public long Offset { get; private set; }

    /// <summary>The bytes, of a replica in memory.</summary>
    public ReadOnlyMemory<byte> Memory { get; private set; }

    /// <summary>The block, of a replica in memory.</summary>
    public int MemoryUnit { get; private set; }

    /// <summary>The block, of a replica on a GPU.</summary>
    public int GpuUnit { get; private set; }

    /// <summary>Where that block lies.</summary>
    public GpuPlace? Gpu { get; private set; }

    /// <summary>Whether a pull is still writing other parts of the file.</summary>
    public bool IsUnfinished { get; private set; }

    /// <summary>What of the reference tier is in use for it: the open file, or the borrowed range.</summary>
    public Counted? Place { get; private set; }

    /// <summary>The borrowed range, of a replica in another node's arena.</summary>
    public BorrowedRange? Borrowed => Place as BorrowedRange;

    /// <summary>A replica in the arena.</summary>
    public void Hold(LeaseDesk desk, ShardInfo shard, SafeFileHandle arena, string path, long offset, ReadOnlyMemory<byte> memory, int unit)
    {
        Hold(desk, shard, Tiers.Memory, arena, path, offset);
        (Memory, MemoryUnit) = (memory, unit);
    }

    /// <summary>A replica in the disk tier.</summary>
    /// <param name="file">Taken over.</param>
    public void Hold(LeaseDesk desk, ShardInfo shard, SafeFileHandle file, string path) => Hold(desk, shard, Tiers.Disk, file, path, 0);

    /// <summary>A replica in the reference tier.</summary>
    /// <param name="place">Shared with this, which releases it.</param>
    public void Hold(LeaseDesk desk, ShardInfo shard, SafeFileHandle file, string path, long offset, Counted place, bool isUnfinished)
    {
        Hold(desk, shard, Tiers.Reference, file, path, offset);
        (Place, IsUnfinished) = (place, isUnfinished);
    }

    /// <summary>A replica on a GPU.</summary>
    public void Hold(LeaseDesk desk, ShardInfo shard, GpuPlace place, int unit)
    {
        Hold(desk, shard, Tiers.Gpu, null!, place.Arena.Device, place.Offset);
        (Gpu, GpuUnit) = (place, unit);
    }

    /// <summary>Ends a lease, once.</summary>
    public void End(int turn)
    {
        if (TryEndTurn(turn))
        {
            _desk.TakeBack(this);
        }
    }

    private void Hold(LeaseDesk desk, ShardInfo shard, Tiers tier, SafeFileHandle file, string path, long offset)
    {
        (_desk, Shard, Tier, File, Path, Offset) = (desk, shard, tier, file, path, offset);
        (Memory, MemoryUnit, Gpu, GpuUnit, Place, IsUnfinished) = (default, 0, null, 0, null, false);
    }
}
