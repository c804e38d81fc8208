using P2PWeights.Store.Content;
using P2PWeights.Store.Index;
using P2PWeights.Store.Memory;

namespace P2PWeights.Store.Writing;

/// <summary>A shard that is received into its final place in the arena: the commit moves no byte.</summary>
/// <param name="unit">A block held for this write.</param>
internal sealed class MemoryWrite(ShardInfo shard, int unit, MemoryTier memory, ShardIndex index, TimeProvider time) : IWriteTarget
{
    private bool _published;

    public Memory<byte> Buffer { get; } = memory.Bytes(unit, shard.Size);

    public ValueTask CommitAsync(CancellationToken cancellationToken)
    {
        using var slot = index.Lock(shard.Digest);
        var record = slot.Record;
        if (!record.Has(Tiers.Memory))
        {
            memory.Publish(unit, shard);
            _published = true;
            record.Size = shard.Size;
            record.MemoryUnit = unit;
        }
        else if (!record.IsProven(Tiers.Memory))
        {
            // The replica found at the start may be damaged; the one just hashed takes its place.
            memory.Publish(unit, shard);
            _published = true;
            memory.Withdraw(record.MemoryUnit);
            record.MemoryUnit = unit;
        }

        record.Tiers |= Tiers.Memory;
        record.Proven |= Tiers.Memory;
        record.LastUse = time.GetUtcNow().Ticks;
        slot.Set(record);
        return ValueTask.CompletedTask;
    }

    public void Release(bool committed)
    {
        if (!_published)
        {
            memory.Release(unit);
        }
    }
}
