using P2PWeights.Store.Content;
using P2PWeights.Store.Disk;
using P2PWeights.Store.Gpu;
using P2PWeights.Store.Hashing;
using P2PWeights.Store.Index;
using P2PWeights.Store.Memory;

namespace P2PWeights.Store.Eviction;

/// <summary>
/// Makes room: asks the planner and carries its plan out, one plan at a time. A memory victim that is, as far as known, the last replica of its shard moves
/// to the disk tier when that has room to spare; it is never worth evicting another shard for. What is pinned keeps every replica, but the one in memory when a GPU has a proven one.
/// </summary>
/// <param name="pins">Shards that must stay.</param>
/// <param name="arriving">Shards whose replica in memory must stay, wherever else they are.</param>
internal sealed class Evictor(
    ShardIndex index, MemoryTier? memory, GpuTier? gpu, DiskTier disk, DiskKeeper diskKeeper, PinTable pins, PinTable arriving, double lowWatermark, TimeProvider time, StoreLog log, StoreMetrics metrics) : IDisposable
{
    /// <summary>Longer than any peer takes to ask for the renewal of its leases, and so to hear that memory is wanted.</summary>
    private static readonly TimeSpan WantedTime = TimeSpan.FromSeconds(5);

    private readonly SemaphoreSlim _onePlan = new(1);
    private readonly long _wantedTicks = (long)(WantedTime.TotalSeconds * time.TimestampFrequency);
    private long _wantedUntil = long.MinValue;

    /// <summary>Replicas that other nodes hold; see <see cref="ShardStore.SetReplicaHint"/>.</summary>
    public Func<Digest, int> ReplicasElsewhere { get; set; } = static _ => 0;

    /// <summary>See <see cref="ShardStore.IsMemoryWanted"/>.</summary>
    public bool IsMemoryWanted => time.GetTimestamp() < Interlocked.Read(ref _wantedUntil);

    /// <summary>Takes a block of the arena, evicting if need be; null when everything there must stay.</summary>
    public async ValueTask<int?> AllocateMemoryAsync(int size, CancellationToken cancellationToken)
    {
        if (memory!.TryAllocate(size, out var unit))
        {
            return unit;
        }

        await _onePlan.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            // Room in pieces does not make a block, so several rounds may be needed; each frees something or is the last.
            while (!memory.TryAllocate(size, out unit))
            {
                var toFree = EvictionPlanner.BytesToFree(memory.UsedBytes, memory.QuotaBytes, MemoryTier.BlockBytes(size), lowWatermark);
                var freed = false;
                var candidates = MemoryCandidates().ToList();
                foreach (var victim in EvictionPlanner.Plan(candidates, toFree))
                {
                    freed |= await TryDropFromMemoryAsync(victim, cancellationToken).ConfigureAwait(false);
                }

                if (!freed)
                {
                    Interlocked.Exchange(ref _wantedUntil, candidates.Exists(candidate => candidate.Kept) ? time.GetTimestamp() + _wantedTicks : long.MinValue);
                    return null;
                }
            }

            return unit;
        }
        finally
        {
            _onePlan.Release();
        }
    }

    /// <summary>Takes a block of a GPU, evicting if need be; null when everything there must stay. What is evicted from a GPU is gone from there.</summary>
    /// <param name="target">A place in <see cref="ShardStore.Gpus"/>.</param>
    public async ValueTask<int?> AllocateGpuAsync(int target, int size, CancellationToken cancellationToken)
    {
        if (gpu!.TryAllocate(target, size, out var unit))
        {
            return unit;
        }

        await _onePlan.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            while (!gpu.TryAllocate(target, size, out unit))
            {
                var toFree = EvictionPlanner.BytesToFree(gpu.UsedBytesOf(target), gpu.QuotaBytesOf(target), HeldBlocks.BlockBytes(size), lowWatermark);
                var freed = false;
                foreach (var victim in EvictionPlanner.Plan(GpuCandidates(target), toFree))
                {
                    freed |= TryDropFromGpu(victim.Digest);
                }

                if (!freed)
                {
                    return null;
                }
            }

            return unit;
        }
        finally
        {
            _onePlan.Release();
        }
    }

    /// <summary>Takes quota of the disk tier, evicting if need be; null when what may go is not enough.</summary>
    public async ValueTask<DiskReservation?> ReserveDiskAsync(int size, CancellationToken cancellationToken)
    {
        var room = DiskTier.RoomFor(size);
        if (room > disk.QuotaBytes)
        {
            return null;
        }

        if (disk.TryReserve(size) is { } atOnce)
        {
            return atOnce;
        }

        await _onePlan.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            DiskReservation? reservation;
            while ((reservation = disk.TryReserve(size)) is null)
            {
                var toFree = EvictionPlanner.BytesToFree(disk.UsedBytes, disk.QuotaBytes, room, lowWatermark);
                var freed = false;
                foreach (var victim in EvictionPlanner.Plan(DiskCandidates(), toFree))
                {
                    freed |= await TryDropFromDiskAsync(victim.Digest, cancellationToken).ConfigureAwait(false);
                }

                if (!freed)
                {
                    break;
                }
            }

            return reservation;
        }
        finally
        {
            _onePlan.Release();
        }
    }

    /// <summary>Drops a replica from memory unless it is leased, or pinned and its content not safe on a GPU.</summary>
    public bool TryDropFromMemory(Digest digest)
    {
        using var slot = index.Lock(digest);
        var record = slot.Record;
        if (!record.Has(Tiers.Memory) || memory!.IsLeased(record.MemoryUnit) || MustStayInMemory(digest, record))
        {
            return false;
        }

        record.Tiers &= ~Tiers.Memory;
        record.Proven &= ~Tiers.Memory;
        slot.Set(record);
        memory.Withdraw(record.MemoryUnit);
        metrics.Evicted(Tiers.Memory, record.Size);
        return true;
    }

    /// <summary>Drops a replica from its GPU unless it is pinned or leased.</summary>
    public bool TryDropFromGpu(Digest digest)
    {
        using var slot = index.Lock(digest);
        var record = slot.Record;
        if (!record.Has(Tiers.Gpu) || gpu!.IsLeased(record.GpuUnit) || pins.IsPinned(digest))
        {
            return false;
        }

        record.Tiers &= ~Tiers.Gpu;
        record.Proven &= ~Tiers.Gpu;
        slot.Set(record);
        gpu.Withdraw(record.GpuUnit);
        metrics.Evicted(Tiers.Gpu, record.Size);
        return true;
    }

    /// <summary>Drops a replica from disk unless it is pinned or leased.</summary>
    public async ValueTask<bool> TryDropFromDiskAsync(Digest digest, CancellationToken cancellationToken)
    {
        var size = index.Find(digest).Size;
        if (pins.IsPinned(digest) || !await diskKeeper.RemoveAsync(digest, cancellationToken).ConfigureAwait(false))
        {
            return false;
        }

        metrics.Evicted(Tiers.Disk, size);
        return true;
    }

    public void Dispose() => _onePlan.Dispose();

    private async ValueTask<bool> TryDropFromMemoryAsync(EvictionCandidate victim, CancellationToken cancellationToken)
    {
        if (victim.OtherReplicas == 0)
        {
            await DemoteAsync(victim.Digest, cancellationToken).ConfigureAwait(false);
        }

        return TryDropFromMemory(victim.Digest);
    }

    /// <summary>Copies a shard from memory to disk, if its bytes are right and the disk tier has room without evicting.</summary>
    private async ValueTask DemoteAsync(Digest digest, CancellationToken cancellationToken)
    {
        ShardRecord record;
        using (var slot = index.Lock(digest))
        {
            record = slot.Record;
            if (!record.Has(Tiers.Memory) || record.Has(Tiers.Disk))
            {
                return;
            }

            memory!.Hold(record.MemoryUnit);
        }

        try
        {
            var bytes = memory.Bytes(record.MemoryUnit, record.Size);
            if (disk.TryReserve(record.Size) is { } reservation)
            {
                using (reservation)
                {
                    // Found at the start and not read since: it must not be given a good name on disk if it is damaged.
                    if (record.IsProven(Tiers.Memory) || Blake3.Hash(bytes.Span) == digest)
                    {
                        await diskKeeper.StoreAsync(new ShardInfo(digest, record.Size), bytes, reservation, cancellationToken).ConfigureAwait(false);
                        metrics.Demoted(record.Size);
                    }
                }
            }
        }
        catch (StoreException failure)
        {
            // A disk that takes nothing is as good as one that has no room to spare; it must not keep new shards out of memory too.
            log.DemotionFailed(digest, failure.Message);
        }
        finally
        {
            memory.Release(record.MemoryUnit);
        }
    }

    private IEnumerable<EvictionCandidate> MemoryCandidates()
    {
        // A pull may pin all that it brings: then there is a plan for every shard, and the pinned must cost next to nothing, unless a GPU may hold them.
        foreach (var digest in memory!.Published().Where(digest => gpu is { Shards: > 0 } || !pins.IsPinned(digest)))
        {
            var record = index.Find(digest);
            if (record.Has(Tiers.Memory) && !MustStayInMemory(digest, record))
            {
                var kept = memory.IsLeased(record.MemoryUnit);
                yield return new EvictionCandidate(digest, MemoryTier.BlockBytes(record.Size), record.LastUse, kept, OtherReplicas(digest, record, Tiers.Memory));
            }
        }
    }

    private IEnumerable<EvictionCandidate> GpuCandidates(int target)
    {
        foreach (var digest in gpu!.PublishedOn(target).Where(digest => !pins.IsPinned(digest)))
        {
            var record = index.Find(digest);
            if (record.Has(Tiers.Gpu))
            {
                var kept = gpu.IsLeased(record.GpuUnit);
                yield return new EvictionCandidate(digest, HeldBlocks.BlockBytes(record.Size), record.LastUse, kept, OtherReplicas(digest, record, Tiers.Gpu));
            }
        }
    }

    private IEnumerable<EvictionCandidate> DiskCandidates()
    {
        foreach (var (digest, record) in index.Snapshot())
        {
            if (record.Has(Tiers.Disk))
            {
                var kept = pins.IsPinned(digest) || disk.IsLeased(digest);
                yield return new EvictionCandidate(digest, DiskTier.RoomFor(record.Size), record.LastUse, kept, OtherReplicas(digest, record, Tiers.Disk));
            }
        }
    }

    /// <summary>Whether a pin keeps the replica in memory. A proven one on a GPU that answers keeps the shard as well, and cannot go itself while the pin lasts.</summary>
    private bool MustStayInMemory(Digest digest, in ShardRecord record) =>
        arriving.IsPinned(digest) || (pins.IsPinned(digest) && (!record.IsProven(Tiers.Gpu) || gpu!.IsStalled));

    private int OtherReplicas(Digest digest, in ShardRecord record, Tiers tier) =>
        ReplicasElsewhere(digest) + ((record.Tiers & ~tier) != Tiers.None ? 1 : 0);
}
