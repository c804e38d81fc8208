using Microsoft.Win32.SafeHandles;
using P2PWeights.Store.Adopting;
using P2PWeights.Store.Content;
using P2PWeights.Store.Disk;
using P2PWeights.Store.Gpu;
using P2PWeights.Store.Index;
using P2PWeights.Store.Memory;
using P2PWeights.Store.References;
using P2PWeights.Store.Reuse;

namespace P2PWeights.Store.Leasing;

/// <summary>
/// Gives out leases: chooses a replica, holds it, has it hashed if this process has not proved it yet, and drops it when it is wrong or gone.
/// </summary>
internal sealed class LeaseDesk(
    ShardIndex index, MemoryTier? memory, GpuTier? gpu, DiskTier disk, DiskKeeper diskKeeper, ReferenceTier references, TimeProvider time, StoreLog log, StoreMetrics metrics)
{
    /// <summary>Memory first: no file to open; then files that are probably in the page cache because somebody works with them. A GPU only for who asks for it: it has no file.</summary>
    private static readonly Tiers[] Preference = [Tiers.Memory, Tiers.Reference, Tiers.Disk];

    private const Tiers WithFile = Tiers.Memory | Tiers.Reference | Tiers.Disk;

    private readonly DigestTurns _proofTurns = new();
    private readonly SparePool<HeldReplica> _spare = new(() => new HeldReplica());
    private int _out;
    private long _proofs;

    /// <summary>Leases out now.</summary>
    public int Out => Volatile.Read(ref _out);

    /// <summary>Replicas hashed so far.</summary>
    public long Proofs => Interlocked.Read(ref _proofs);

    /// <summary>A lease on any good replica that is in a file (the arena is one), or null when there is none.</summary>
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

    /// <summary>A lease on any good replica where it lies: in a file when there is one, else on a GPU. Null when there is none.</summary>
    public async ValueTask<ShardLease?> LeaseWhereItLiesAsync(Digest digest, CancellationToken cancellationToken) =>
        await LeaseAsync(digest, cancellationToken).ConfigureAwait(false) ?? await LeaseAsync(digest, Tiers.Gpu, cancellationToken).ConfigureAwait(false);

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

    /// <summary>A lease has ended: its replica may go, and what held it serves the next one.</summary>
    internal void TakeBack(HeldReplica replica)
    {
        switch (replica.Tier)
        {
            case Tiers.Memory:
                memory!.Release(replica.MemoryUnit);
                break;
            case Tiers.Gpu:
                gpu!.Release(replica.GpuUnit);
                break;
            case Tiers.Disk:
                replica.File.Dispose();
                disk.EndLease(replica.Shard.Digest);
                break;
            default:
                replica.Place!.Release();
                break;
        }

        Interlocked.Decrement(ref _out);
        _spare.Return(replica);
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
        var opened = Open(shard, tier, record);
        var problem = "it is missing or has been changed";
        if (opened is { } lease)
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
        using (opened)
        {
            var where = await DropAsync(shard, tier, record, tier == Tiers.Disk ? opened?.File : null, opened is not null, cancellationToken).ConfigureAwait(false);
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
        var from = (record.Proven & WithFile) != Tiers.None ? record.Proven : record.Tiers;
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
        else if (tier == Tiers.Gpu)
        {
            gpu!.Hold(record.GpuUnit);
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
        var replica = _spare.Take();
        var isOpen = false;
        try
        {
            isOpen = tier switch
            {
                Tiers.Memory => OpenMemory(replica, shard, record.MemoryUnit),
                Tiers.Gpu => OpenGpu(replica, shard, record.GpuUnit),
                Tiers.Disk => OpenDisk(replica, shard),
                _ => OpenReference(replica, shard, record),
            };
        }
        finally
        {
            if (!isOpen)
            {
                _spare.Return(replica);
            }
        }

        if (!isOpen)
        {
            return null;
        }

        Interlocked.Increment(ref _out);
        return new ShardLease(replica);
    }

    private bool OpenMemory(HeldReplica replica, ShardInfo shard, int unit)
    {
        replica.Hold(this, shard, memory!.File, memory.ArenaPath, memory.OffsetOf(unit), memory.Bytes(unit, shard.Size), unit);
        return true;
    }

    private bool OpenGpu(HeldReplica replica, ShardInfo shard, int unit)
    {
        replica.Hold(this, shard, gpu!.PlaceOf(unit), unit);
        return true;
    }

    private bool OpenDisk(HeldReplica replica, ShardInfo shard)
    {
        try
        {
            if (disk.TryOpen(shard) is { } file)
            {
                replica.Hold(this, shard, file, disk.PathOf(shard.Digest));
                return true;
            }
        }
        catch (Exception failure) when (StoreFailure.IsOfFileSystem(failure))
        {
            disk.EndLease(shard.Digest);
            throw StoreFailure.Of(failure, $"opening {disk.PathOf(shard.Digest)}", shard.Digest);
        }

        disk.EndLease(shard.Digest);
        return false;
    }

    private bool OpenReference(HeldReplica replica, ShardInfo shard, in ShardRecord record)
    {
        if (BorrowedRanges.IsBorrowed(record.FileId))
        {
            if (references.TryUseBorrowed(record.FileId) is not { } range)
            {
                return false;
            }

            replica.Hold(this, shard, range.Arena.Handle, range.Arena.Path, range.Offset, range, isUnfinished: false);
            return true;
        }

        if (references.Find(record.FileId) is not { } known || references.TryOpen(record.FileId) is not { } file)
        {
            return false;
        }

        replica.Hold(this, shard, file.Handle, known.Path, record.FileOffset, file, isUnfinished: known.Unfinished is not null);
        return true;
    }

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
        Tiers.Gpu => left.GpuUnit == right.GpuUnit,
        Tiers.Reference => left.FileId == right.FileId && left.FileOffset == right.FileOffset,
        _ => true,
    };

    /// <summary>Drops a replica and says where it was, or where its file is now; null when a good one has taken its place meanwhile.</summary>
    /// <param name="file">Of the disk tier, the file that was looked at; null when there was none.</param>
    /// <param name="wasOpen">Whether there was something to look at.</param>
    private async ValueTask<string?> DropAsync(ShardInfo shard, Tiers tier, ShardRecord seen, SafeFileHandle? file, bool wasOpen, CancellationToken cancellationToken)
    {
        switch (tier)
        {
            case Tiers.Memory:
                DropMemory(shard.Digest, seen.MemoryUnit);
                return memory!.ArenaPath;
            case Tiers.Gpu:
                DropGpu(shard.Digest, seen.GpuUnit);
                return gpu!.PlaceOf(seen.GpuUnit).Arena.Device;
            case Tiers.Disk:
                return await diskKeeper.QuarantineAsync(shard, file, cancellationToken).ConfigureAwait(false);
            default:
                var where = references.PathOf(seen.FileId) ?? "a file that is no longer referenced";
                await references.DropWrongAsync(seen.FileId, shard.Digest, seen.FileOffset, wasOpen, seen.IsProven(Tiers.Reference), cancellationToken).ConfigureAwait(false);
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

    private void DropGpu(Digest digest, int unit)
    {
        using var slot = index.Lock(digest);
        var record = slot.Record;
        if (record.Has(Tiers.Gpu) && record.GpuUnit == unit)
        {
            record.Tiers &= ~Tiers.Gpu;
            record.Proven &= ~Tiers.Gpu;
            slot.Set(record);
            gpu!.Withdraw(unit);
        }
    }

    /// <param name="Shard">The shard, when a replica was there to be held.</param>
    /// <param name="Lease">The lease on a good replica.</param>
    /// <param name="WrongAt">Where the replica was that turned out missing or wrong.</param>
    private readonly record struct Attempt(ShardInfo Shard, ShardLease? Lease, string? WrongAt)
    {
        public bool Held => Shard.Size > 0;
    }
}
