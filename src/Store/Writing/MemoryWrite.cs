using P2PWeights.Store.Content;
using P2PWeights.Store.Index;
using P2PWeights.Store.Memory;
using P2PWeights.Store.Reuse;

namespace P2PWeights.Store.Writing;

/// <summary>Shards that are received into their final place in the arena: the commit moves no byte.</summary>
internal sealed class MemoryWrite(SparePool<MemoryWrite> spare, MemoryTier memory, ShardIndex index, StoreMetrics metrics, TimeProvider time) : WriteTarget(metrics)
{
    private int _unit;
    private bool _isPublished;

    /// <param name="unit">A block held for this write.</param>
    public ShardWrite Begin(ShardInfo shard, int unit)
    {
        (_unit, _isPublished) = (unit, false);
        Begin(shard, memory.Bytes(unit, shard.Size));
        return new ShardWrite(this);
    }

    protected override ValueTask StoreAsync(Memory<byte> bytes, CancellationToken cancellationToken)
    {
        using var slot = index.Lock(Shard.Digest);
        var record = slot.Record;
        if (!record.Has(Tiers.Memory))
        {
            memory.Publish(_unit, Shard);
            _isPublished = true;
            record.Size = Shard.Size;
            record.MemoryUnit = _unit;
        }
        else if (!record.IsProven(Tiers.Memory))
        {
            // The replica found at the start may be damaged; the one just hashed takes its place.
            memory.Publish(_unit, Shard);
            _isPublished = true;
            memory.Withdraw(record.MemoryUnit);
            record.MemoryUnit = _unit;
        }

        record.Tiers |= Tiers.Memory;
        record.Proven |= Tiers.Memory;
        record.LastUse = time.GetUtcNow().Ticks;
        slot.Set(record);
        return ValueTask.CompletedTask;
    }

    protected override void GiveBack()
    {
        if (!_isPublished)
        {
            memory.Release(_unit);
        }

        spare.Return(this);
    }
}
