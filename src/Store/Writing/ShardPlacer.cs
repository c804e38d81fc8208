using System.Globalization;
using P2PWeights.Store.Content;
using P2PWeights.Store.Disk;
using P2PWeights.Store.Eviction;
using P2PWeights.Store.Folders;
using P2PWeights.Store.Index;
using P2PWeights.Store.Memory;
using P2PWeights.Store.References;

namespace P2PWeights.Store.Writing;

/// <summary>
/// Finds room for a shard on its way in. With a folder: staging memory, then the folder. Without: a block of the arena, evicting from memory if need be;
/// when all of memory must stay, staging memory, then the disk tier, evicting there if need be.
/// </summary>
internal sealed class ShardPlacer(
    ShardIndex index, MemoryTier? memory, DiskTier disk, DiskKeeper diskKeeper, ReferenceTier references, Evictor evictor, StoreMetrics metrics, TimeProvider time) : IDisposable
{
    private const int StagingSlots = 8;

    private readonly StagingPool _staging = new(StagingSlots, MemoryTier.MaxShardBytes);

    /// <summary>The staging memory.</summary>
    public MemoryRegion Staging => _staging.Region;

    /// <exception cref="StoreException"><see cref="StoreError.Full"/>.</exception>
    public async ValueTask<ShardWrite> PlaceAsync(ShardInfo shard, CheckpointFolder? folder, CancellationToken cancellationToken)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(shard.Size, nameof(shard));
        if (folder is not null)
        {
            var staging = await _staging.RentAsync(shard.Size, cancellationToken).ConfigureAwait(false);
            return new ShardWrite(shard, metrics, new FolderWrite(shard, folder, staging, _staging, references));
        }

        if (await TryPlaceInMemoryAsync(shard, cancellationToken).ConfigureAwait(false) is { } inMemory)
        {
            return inMemory;
        }

        var reservation = await evictor.ReserveDiskAsync(shard.Size, cancellationToken).ConfigureAwait(false) ?? throw Full(shard);
        try
        {
            var staging = await _staging.RentAsync(shard.Size, cancellationToken).ConfigureAwait(false);
            return new ShardWrite(shard, metrics, new DiskWrite(shard, staging, _staging, reservation, diskKeeper));
        }
        catch
        {
            reservation.Dispose();
            throw;
        }
    }

    /// <summary>Room in the arena, evicting if need be; null when there is no arena, or the shard does not fit, or everything there must stay.</summary>
    public async ValueTask<ShardWrite?> TryPlaceInMemoryAsync(ShardInfo shard, CancellationToken cancellationToken) =>
        memory is not null
        && shard.Size <= MemoryTier.MaxShardBytes
        && await evictor.AllocateMemoryAsync(shard.Size, cancellationToken).ConfigureAwait(false) is { } unit
            ? new ShardWrite(shard, metrics, new MemoryWrite(shard, unit, memory, index, time))
            : null;

    public void Dispose() => _staging.Dispose();

    private StoreException Full(ShardInfo shard) => new(
        StoreError.Full,
        string.Create(
            CultureInfo.InvariantCulture,
            $"no room for shard {shard.Digest.ToShortString()} of {shard.Size} bytes: memory tier {memory?.UsedBytes ?? 0} of {memory?.QuotaBytes ?? 0} bytes, disk tier {disk.UsedBytes} of {disk.QuotaBytes} bytes, and all of it is pinned, leased or being written; give --memory or --disk more, or pull to a folder"),
        shard.Digest);
}
