using P2PWeights.Store.Content;
using P2PWeights.Store.Reuse;

namespace P2PWeights.Store.Adopting;

/// <summary>
/// A shard in the arena of another node on this host, held as a reference for as long as that node promises. Used by the index and by every lease on it; the last to
/// let go gives the promise back.
/// </summary>
/// <param name="arena">In use by this.</param>
/// <param name="offset">Where the bytes start in the arena's file.</param>
/// <param name="lease">Owned by this.</param>
internal sealed class BorrowedRange(ShardInfo shard, ForeignArena arena, long offset, IForeignLease lease) : Counted
{
    public ShardInfo Shard => shard;

    public ForeignArena Arena => arena;

    public long Offset => offset;

    /// <summary>
    /// Whether what was read up to now is the shard: the promise holds, nobody else has opened the arena for writing, and its directory still names the shard at this place.
    /// The promise alone would do, were it kept by all.
    /// </summary>
    public bool IsIntact => lease.IsValid && arena.IsUnchanged() && arena.Holds(shard, offset);

    protected override void End()
    {
        arena.EndUse();
        lease.Dispose();
    }
}
