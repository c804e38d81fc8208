using System.Globalization;
using P2PWeights.Store.Content;
using P2PWeights.Store.Disk;
using P2PWeights.Store.Eviction;
using P2PWeights.Store.Gpu;
using P2PWeights.Store.Index;
using P2PWeights.Store.Memory;
using P2PWeights.Store.References;
using P2PWeights.Store.Reuse;

namespace P2PWeights.Store.Writing;

/// <summary>
/// Finds room for a shard on its way in. For a folder or a GPU: staging memory, then the folder or the GPU, evicting there if need be. Else: a block of the arena, evicting from memory if need be;
/// when all of memory must stay, staging memory, then the disk tier, evicting there if need be; and when there is no room either, memory that comes back in time.
/// </summary>
internal sealed class ShardPlacer : IDisposable
{
    private const int StagingSlots = 8;
    private static readonly TimeSpan RoomInterval = TimeSpan.FromMilliseconds(100);

    private readonly MemoryTier? _memory;
    private readonly GpuTier? _gpu;
    private readonly DiskTier _disk;
    private readonly Evictor _evictor;
    private readonly TimeSpan _roomTimeout;
    private readonly TimeProvider _time;
    private readonly StagingPool _staging = new(StagingSlots, MemoryTier.MaxShardBytes);
    private readonly SparePool<MemoryWrite> _memoryWrites;
    private readonly SparePool<DiskWrite> _diskWrites;
    private readonly SparePool<FolderWrite> _folderWrites;
    private readonly SparePool<GpuWrite> _gpuWrites;

    public ShardPlacer(
        ShardIndex index, MemoryTier? memory, GpuTier? gpu, DiskTier disk, DiskKeeper diskKeeper, ReferenceTier references, Evictor evictor, StoreMetrics metrics, TimeSpan roomTimeout, TimeProvider time)
    {
        (_memory, _gpu, _disk, _evictor, _roomTimeout, _time) = (memory, gpu, disk, evictor, roomTimeout, time);
        _memoryWrites = new SparePool<MemoryWrite>(() => new MemoryWrite(_memoryWrites!, memory!, index, metrics, time));
        _diskWrites = new SparePool<DiskWrite>(() => new DiskWrite(_diskWrites!, _staging, diskKeeper, metrics));
        _folderWrites = new SparePool<FolderWrite>(() => new FolderWrite(_folderWrites!, _staging, references, metrics));
        _gpuWrites = new SparePool<GpuWrite>(() => new GpuWrite(_gpuWrites!, _staging, gpu!, index, metrics, time));
    }

    /// <summary>The staging memory.</summary>
    public StagingPool Staging => _staging;

    /// <exception cref="StoreException"><see cref="StoreError.Full"/>.</exception>
    public async ValueTask<ShardWrite> PlaceAsync(ShardInfo shard, ShardTarget target, CancellationToken cancellationToken)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(shard.Size, nameof(shard));
        if (target.Gpu is { } gpu)
        {
            return await PlaceOnGpuAsync(shard, gpu, cancellationToken).ConfigureAwait(false);
        }

        if (target.Folder is { } folder)
        {
            var staging = await _staging.RentAsync(shard.Size, cancellationToken).ConfigureAwait(false);
            return _folderWrites.Take().Begin(shard, folder, staging);
        }

        if (await TryPlaceInMemoryAsync(shard, cancellationToken).ConfigureAwait(false) is { } inMemory)
        {
            return inMemory;
        }

        var reservation = await _evictor.ReserveDiskAsync(shard.Size, cancellationToken).ConfigureAwait(false);
        if (reservation is null)
        {
            return await WaitForMemoryAsync(shard, cancellationToken).ConfigureAwait(false) ?? throw Full(shard);
        }

        try
        {
            var staging = await _staging.RentAsync(shard.Size, cancellationToken).ConfigureAwait(false);
            return _diskWrites.Take().Begin(shard, staging, reservation);
        }
        catch
        {
            reservation.Dispose();
            throw;
        }
    }

    private async ValueTask<ShardWrite> PlaceOnGpuAsync(ShardInfo shard, int gpu, CancellationToken cancellationToken)
    {
        var unit = await _evictor.AllocateGpuAsync(gpu, shard.Size, cancellationToken).ConfigureAwait(false) ?? throw _gpu!.Full(shard, gpu);
        try
        {
            var staging = await _staging.RentAsync(shard.Size, cancellationToken).ConfigureAwait(false);
            return _gpuWrites.Take().Begin(shard, staging, unit);
        }
        catch
        {
            _gpu!.Release(unit);
            throw;
        }
    }

    /// <summary>Room in the arena, evicting if need be; null when there is no arena, or the shard does not fit, or everything there must stay.</summary>
    public async ValueTask<ShardWrite?> TryPlaceInMemoryAsync(ShardInfo shard, CancellationToken cancellationToken) =>
        _memory is not null
        && shard.Size <= MemoryTier.MaxShardBytes
        && await _evictor.AllocateMemoryAsync(shard.Size, cancellationToken).ConfigureAwait(false) is { } unit
            ? _memoryWrites.Take().Begin(shard, unit)
            : null;

    public void Dispose() => _staging.Dispose();

    /// <summary>Room in the arena once leases end that keep there what could go: readers end theirs soon, and who has borrowed is not given more time. Null when none came in time.</summary>
    private async ValueTask<ShardWrite?> WaitForMemoryAsync(ShardInfo shard, CancellationToken cancellationToken)
    {
        var begun = _time.GetTimestamp();
        while (_evictor.IsMemoryWanted && _time.GetElapsedTime(begun) < _roomTimeout)
        {
            await Task.Delay(RoomInterval, _time, cancellationToken).ConfigureAwait(false);
            if (await TryPlaceInMemoryAsync(shard, cancellationToken).ConfigureAwait(false) is { } inMemory)
            {
                return inMemory;
            }
        }

        return null;
    }

    private StoreException Full(ShardInfo shard) => new(
        StoreError.Full,
        string.Create(
            CultureInfo.InvariantCulture,
            $"no room for shard {shard.Digest.ToShortString()} of {shard.Size} bytes: memory tier {_memory?.UsedBytes ?? 0} of {_memory?.QuotaBytes ?? 0} bytes, disk tier {_disk.UsedBytes} of {_disk.QuotaBytes} bytes, and all of it is pinned, leased or being written; give --memory or --disk more, or pull to a folder"),
        shard.Digest);
}
