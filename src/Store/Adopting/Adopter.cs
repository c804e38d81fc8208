using Microsoft.Win32.SafeHandles;
using P2PWeights.Store.Content;
using P2PWeights.Store.Disk;
using P2PWeights.Store.Eviction;
using P2PWeights.Store.Folders;
using P2PWeights.Store.Index;
using P2PWeights.Store.References;
using P2PWeights.Store.Writing;

namespace P2PWeights.Store.Adopting;

/// <summary>
/// Takes shards from where another node on this host keeps them, without their bytes passing through this process. What is taken into the tiers is unproven: it is hashed
/// before its first reader sees it, like everything found at a start. What is taken into a folder is hashed there before it counts.
/// </summary>
internal sealed class Adopter(ShardIndex index, DiskKeeper disk, ReferenceTier references, Evictor evictor, ShardPlacer placer, StoreLog log)
{
    /// <summary>See <see cref="ShardStore.AdoptAsync(ShardInfo, ForeignFile, long, Tiers, CancellationToken)"/>.</summary>
    public async ValueTask<bool> AdoptAsync(ShardInfo shard, ForeignFile file, long offset, Tiers tier, CancellationToken cancellationToken)
    {
        if (offset < 0 || shard.Size <= 0 || offset > file.Identity.Size - shard.Size || !file.IsOfOwnUser)
        {
            return false;
        }

        if (index.Find(shard.Digest).Tiers != Tiers.None)
        {
            return true;
        }

        return (tier == Tiers.Disk && offset == 0 && await LinkAsync(shard, file, cancellationToken).ConfigureAwait(false))
            || await references.AdoptAsync(file, new FileExtent(shard, offset), cancellationToken).ConfigureAwait(false);
    }

    /// <summary>See <see cref="ShardStore.Borrow"/>.</summary>
    public bool Borrow(ShardInfo shard, ForeignArena arena, long offset, IForeignLease lease)
    {
        if (!arena.IsOfOwnUser || !arena.Holds(shard, offset) || !arena.TryUse())
        {
            lease.Dispose();
            return false;
        }

        references.Borrow(new BorrowedRange(shard, arena, offset, lease));
        return true;
    }

    /// <summary>See <see cref="ShardStore.AdoptAsync(ShardInfo, SafeFileHandle, long, CheckpointFolder, CancellationToken)"/>.</summary>
    public async ValueTask<bool> AdoptAsync(ShardInfo shard, SafeFileHandle file, long offset, CheckpointFolder folder, CancellationToken cancellationToken)
    {
        if (await folder.TryCopyShardAsync(shard, file, offset, cancellationToken).ConfigureAwait(false) is not { } places)
        {
            return false;
        }

        await references.ReferenceUnfinishedAsync(shard, places, cancellationToken).ConfigureAwait(false);
        return true;
    }

    /// <summary>See <see cref="ShardStore.KeepBorrowedAsync"/>.</summary>
    public async ValueTask<bool> KeepAsync(Digest digest, CancellationToken cancellationToken)
    {
        var record = index.Find(digest);
        if (!record.Has(Tiers.Reference) || references.TryHoldBorrowed(record.FileId) is not { } range)
        {
            return record.Tiers != Tiers.None;
        }

        try
        {
            if (record.Tiers == Tiers.Reference)
            {
                await CopyAsync(range, cancellationToken).ConfigureAwait(false);
            }
        }
        catch (StoreException failure)
        {
            log.BorrowedLost(digest, range.Arena.Path, failure.Message);
        }
        finally
        {
            range.Release();
        }

        references.DropBorrowed(digest, record.FileId);
        return index.Find(digest).Tiers != Tiers.None;
    }

    /// <summary>Whatever the promise is worth by now: the commit hashes what was read.</summary>
    private async ValueTask CopyAsync(BorrowedRange range, CancellationToken cancellationToken)
    {
        using var write = await placer.PlaceAsync(range.Shard, default, cancellationToken).ConfigureAwait(false);
        await FileRange.ReadAsync(range.Shard, range.Arena.Handle, range.Offset, write.Buffer, cancellationToken).ConfigureAwait(false);
        await write.CommitAsync(cancellationToken).ConfigureAwait(false);
    }

    private async ValueTask<bool> LinkAsync(ShardInfo shard, ForeignFile file, CancellationToken cancellationToken)
    {
        using var reservation = await evictor.ReserveDiskAsync(shard.Size, cancellationToken).ConfigureAwait(false);
        return reservation is not null && await disk.LinkAsync(shard, file.Handle, file.Path, reservation, cancellationToken).ConfigureAwait(false);
    }
}
