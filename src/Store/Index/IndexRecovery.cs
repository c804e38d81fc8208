using P2PWeights.Store.Content;
using P2PWeights.Store.Disk;
using P2PWeights.Store.Memory;
using P2PWeights.Store.References;

namespace P2PWeights.Store.Index;

/// <summary>
/// Makes the index say at the start what the tiers say: the arena's directory, the names of the files on disk, the reference journal.
/// The checkpointed index adds what those do not tell (sizes without a stat, times of last use) and is never believed beyond that,
/// so an index rebuilt from nothing equals the one that was live.
/// </summary>
internal static class IndexRecovery
{
    /// <summary>Brings the index up to date. Nothing in it is proven afterwards.</summary>
    public static void Reconcile(ShardIndex index, MemoryTier? memory, DiskTier disk, ReferenceTier references, TimeProvider time)
    {
        var before = index.Snapshot().ToDictionary(entry => entry.Digest, entry => entry.Record);
        var after = new Dictionary<Digest, ShardRecord>(before.Count);
        foreach (var (shard, unit) in memory?.Recovered ?? [])
        {
            var record = Begin(shard.Digest, shard.Size);
            if (record.Has(Tiers.Memory))
            {
                // The same shard twice: a crash fell between a replacement and the removal of what it replaced.
                memory!.Withdraw(unit);
                continue;
            }

            record.Tiers |= Tiers.Memory;
            record.MemoryUnit = unit;
            after[shard.Digest] = record;
        }

        foreach (var (digest, (fileId, extent)) in references.Load())
        {
            var record = Begin(digest, extent.Shard.Size);
            record.Tiers |= Tiers.Reference;
            (record.FileId, record.FileOffset) = (fileId, extent.Offset);
            after[digest] = record;
        }

        foreach (var digest in disk.Names())
        {
            var size = before.TryGetValue(digest, out var known) && known.Has(Tiers.Disk) ? known.Size : disk.SizeOf(digest);
            if (size is <= 0 or > int.MaxValue)
            {
                disk.Quarantine(digest);
                continue;
            }

            var record = Begin(digest, (int)size);
            record.Tiers |= Tiers.Disk;
            after[digest] = record;
            disk.CountFound(record.Size);
        }

        foreach (var digest in before.Keys.Where(digest => !after.ContainsKey(digest)))
        {
            Store(digest, default);
        }

        foreach (var (digest, record) in after)
        {
            Store(digest, record);
        }

        ShardRecord Begin(Digest digest, int size) => after.TryGetValue(digest, out var begun)
            ? begun
            : new ShardRecord { Size = size, LastUse = before.TryGetValue(digest, out var old) ? old.LastUse : time.GetUtcNow().Ticks };

        void Store(Digest digest, ShardRecord record)
        {
            using var slot = index.Lock(digest);
            slot.Set(record);
        }
    }
}
