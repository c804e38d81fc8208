using Microsoft.Win32.SafeHandles;
using P2PWeights.Store.Adopting;
using P2PWeights.Store.Content;
using P2PWeights.Store.Disk;
using P2PWeights.Store.Index;
using P2PWeights.Store.Memory;
using P2PWeights.Store.References;

namespace P2PWeights.Store.Leasing;

/// <summary>
/// Gives out leases: chooses a replica, holds it, has it hashed if this process has not proved it yet, and drops it when it is wrong or gone.
/// </summary>
internal sealed class LeaseDesk(
    ShardIndex index, MemoryTier? memory, DiskTier disk, DiskKeeper diskKeeper, ReferenceTier references, TimeProvider time, StoreLog log, StoreMetrics metrics)
{
    /// <summary>Memory first: no file to open; then files that are probably in the page cache because somebody works with them.</summary>
    private static readonly Tiers[] Preference = [Tiers.Memory, Tiers.Reference, Tiers.Disk];

    private readonly DigestTurns _proofTurns = new();
    private int _out;
    private long _proofs;

    /// <summary>Leases out now.</summary>
    public int Out => Volatile.Read(ref _out);

    /// <summary>Replicas hashed so far.</summary>
    public long Proofs => Interlocked.Read(ref _proofs);

    /// <summary>A lease on any good replica, or null when there is none.</summary>
    public async ValueTask<ShardLease?> LeaseAsync(Digest digest, CancellationToken cancellationToken)
    {
        // Ends: each round either returns or drops a replica.
        while (true)
        {
            var tier = Choose(digest);
            if (tier == Tiers.None)
            {
                return null;
            }

            var attempt = await TryLeaseAsync(digest, tier, evenIfProven: false, cancellationToken).ConfigureAwait(false);
            if (attempt.Lease is { } lease)
            {
                return lease;
            }
        }
    }

    /// <summary>A lease on the replica in one tier, or null when that tier has no good one.</summary>
    public async ValueTask<ShardLease?> LeaseAsync(Digest digest, Tiers tier, CancellationToken cancellationToken) =>
        (await TryLeaseAsync(digest, tier, evenIfProven: false, cancellationToken).ConfigureAwait(false)).Lease;

    /// <summary>Hashes the replica in one tier, whatever is known of it, and drops it when it is wrong; null when there is none any more.</summary>
    public async ValueTask<ReplicaCheck?> CheckAsync(Digest digest, Tiers tier, CancellationToken cancellationToken)
    {
        var attempt = await TryLeaseAsync(digest, tier, evenIfProven: true, cancellationToken).ConfigureAwait(false);
        attempt.Lease?.Dispose();
        return attempt.Held ? new ReplicaCheck(attempt.Shard, attempt.WrongAt) : null;
    }

    /// <summary>Leases the replica in one tier, unless it turns out to be missing or wrong; then it is dropped.</summary>
    /// <param name="evenIfProven">Hashes even what this process has proved before.</param>
    private async ValueTask<Attempt> TryLeaseAsync(Digest digest, Tiers tier, bool evenIfProven, CancellationToken cancellationToken)
    {
        var record = Hold(digest, tier);
        if (!record.Has(tier))
        {
            return default;
        }

        var shard = new ShardInfo(digest, record.Size);
        var lease = Open(shard, tier, record);
        var problem = "it is missing or has been changed";
        if (lease is not null)
        {
            if (record.IsProven(tier) && !evenIfProven)
            {
                return new Attempt(shard, lease, WrongAt: null);
            }

            problem = await ProveAsync(lease, record, evenIfProven, cancellationToken).ConfigureAwait(false);
            if (problem is null)
            {
                return new Attempt(shard, lease, WrongAt: null);
            }
        }

        // Held until it has been dropped: its block or inode must not become a good replica's meanwhile.
        using (lease)
        {
            var where = await DropAsync(shard, tier, record, lease?.File, cancellationToken).ConfigureAwait(false);
            if (where is not null)
            {
                log.ReplicaDropped(digest, tier, where, problem);
                metrics.Wrong(tier);
            }

            return new Attempt(shard, Lease: null, where);
        }
    }

    /// <summary>Null when the bytes are right, else what they are instead. Of many readers of one replica the first has it hashed, and the others wait for that.</summary>
    private async ValueTask<string?> ProveAsync(ShardLease lease, ShardRecord record, bool evenIfProven, CancellationToken cancellationToken)
    {
        var digest = lease.Shard.Digest;
        try
        {
            using var turn = await _proofTurns.EnterAsync(digest, cancellationToken).ConfigureAwait(false);
            if (!evenIfProven && index.Find(digest) is var now && now.IsProven(lease.Tier) && IsSameReplica(now, record, lease.Tier))
            {
                return null;
            }

            Interlocked.Increment(ref _proofs);
            var problem = await ReplicaProof.ProblemAsync(lease, cancellationToken).ConfigureAwait(false);
            if (problem is null)
            {
                MarkProven(digest, lease.Tier, record);
            }

            return problem;
        }
        catch
        {
            lease.Dispose();
            throw;
        }
    }

    /// <summary>The tier to read from: a proven replica before one that must be hashed first.</summary>
    private Tiers Choose(Digest digest)
    {
        var record = index.Find(digest);
        var from = record.Proven != Tiers.None ? record.Proven : record.Tiers;
        foreach (var tier in Preference)
        {
            if ((from & tier) != 0)
            {
                return tier;
            }
        }

        return Tiers.None;
    }

    /// <summary>Reads the record and, in the same moment, makes sure that its replica in the tier is not evicted.</summary>
    private ShardRecord Hold(Digest digest, Tiers tier)
    {
        using var slot = index.Lock(digest);
        var record = slot.Record;
        if (!record.Has(tier))
        {
            return record;
        }

        if (tier == Tiers.Memory)
        {
            memory!.Hold(record.MemoryUnit);
        }
        else if (tier == Tiers.Disk)
        {
            disk.AddLease(digest);
        }

        record.LastUse = time.GetUtcNow().Ticks;
        slot.Set(record);
        return record;
    }

    private ShardLease? Open(ShardInfo shard, Tiers tier, in ShardRecord record)
    {
        var lease = tier switch
        {
            Tiers.Memory => new ShardLease(
                shard, tier, memory!.File, memory.OffsetOf(record.MemoryUnit), memory.Bytes(record.MemoryUnit, shard.Size), new MemoryHold(this, memory, record.MemoryUnit))
            {
                Path = memory.ArenaPath,
            },
            Tiers.Disk => OpenDisk(shard),
            _ => OpenReference(shard, record),
        };
        if (lease is not null)
        {
            Interlocked.Increment(ref _out);
        }

        return lease;
    }

    private ShardLease? OpenDisk(ShardInfo shard)
    {
        try
        {
            if (disk.TryOpen(shard) is { } file)
            {
                return new ShardLease(shard, Tiers.Disk, file, 0, default, new DiskHold(this, disk)) { Path = disk.PathOf(shard.Digest) };
            }
        }
        catch (Exception failure) when (StoreFailure.IsOfFileSystem(failure))
        {
            disk.EndLease(shard.Digest);
            throw StoreFailure.Of(failure, $"opening {disk.PathOf(shard.Digest)}", shard.Digest);
        }

        disk.EndLease(shard.Digest);
        return null;
    }

    private ShardLease? OpenReference(ShardInfo shard, in ShardRecord record) =>
        BorrowedRanges.IsBorrowed(record.FileId) ? OpenBorrowed(shard, record)
        : references.Find(record.FileId) is { } known && references.TryOpen(record.FileId) is { } file
            ? new ShardLease(shard, Tiers.Reference, file.Handle, record.FileOffset, default, new ReferenceHold(this, file))
            {
                Path = known.Path,
                IsUnfinished = known.Unfinished is not null,
            }
            : null;

    private ShardLease? OpenBorrowed(ShardInfo shard, in ShardRecord record) =>
        references.TryUseBorrowed(record.FileId) is { } range
            ? new ShardLease(shard, Tiers.Reference, range.Arena.Handle, range.Offset, default, new ReferenceHold(this, range))
            {
                Path = range.Arena.Path,
                Borrowed = range,
            }
            : null;

    private void MarkProven(Digest digest, Tiers tier, in ShardRecord seen)
    {
        using var slot = index.Lock(digest);
        var record = slot.Record;
        if (record.Has(tier) && IsSameReplica(record, seen, tier))
        {
            record.Proven |= tier;
            slot.Set(record);
        }
    }

    private static bool IsSameReplica(in ShardRecord left, in ShardRecord right, Tiers tier) => tier switch
    {
        Tiers.Memory => left.MemoryUnit == right.MemoryUnit,
        Tiers.Reference => left.FileId == right.FileId && left.FileOffset == right.FileOffset,
        _ => true,
    };

    /// <summary>Drops a replica and says where it was, or where its file is now; null when a good one has taken its place meanwhile.</summary>
    /// <param name="file">The file that was looked at; null when there was none.</param>
    private async ValueTask<string?> DropAsync(ShardInfo shard, Tiers tier, ShardRecord seen, SafeFileHandle? file, CancellationToken cancellationToken)
    {
        switch (tier)
        {
            case Tiers.Memory:
                DropMemory(shard.Digest, seen.MemoryUnit);
                return memory!.ArenaPath;
            case Tiers.Disk:
                return await diskKeeper.QuarantineAsync(shard, file, cancellationToken).ConfigureAwait(false);
            default:
                var where = references.PathOf(seen.FileId) ?? "a file that is no longer referenced";
                await references.DropFileAsync(seen.FileId, shard.Digest, cancellationToken).ConfigureAwait(false);
                return where;
        }
    }

    private void DropMemory(Digest digest, int unit)
    {
        using var slot = index.Lock(digest);
        var record = slot.Record;
        if (record.Has(Tiers.Memory) && record.MemoryUnit == unit)
        {
            record.Tiers &= ~Tiers.Memory;
            record.Proven &= ~Tiers.Memory;
            slot.Set(record);
            memory!.Withdraw(unit);
        }
    }

    private void CountReturn() => Interlocked.Decrement(ref _out);

    /// <param name="Shard">The shard, when a replica was there to be held.</param>
    /// <param name="Lease">The lease on a good replica.</param>
    /// <param name="WrongAt">Where the replica was that turned out missing or wrong.</param>
    private readonly record struct Attempt(ShardInfo Shard, ShardLease? Lease, string? WrongAt)
    {
        public bool Held => Shard.Size > 0;
    }

    private sealed class MemoryHold(LeaseDesk desk, MemoryTier memory, int unit) : IReplicaHold
    {
        public void Release(ShardLease lease)
        {
            memory.Release(unit);
            desk.CountReturn();
        }
    }

    private sealed class DiskHold(LeaseDesk desk, DiskTier disk) : IReplicaHold
    {
        public void Release(ShardLease lease)
        {
            lease.File.Dispose();
            disk.EndLease(lease.Shard.Digest);
            desk.CountReturn();
        }
    }

    private sealed class ReferenceHold(LeaseDesk desk, Counted place) : IReplicaHold
    {
        public void Release(ShardLease lease)
        {
            place.Release();
            desk.CountReturn();
        }
    }
}
