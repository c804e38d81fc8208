using P2PWeights.Native.Posix;
using P2PWeights.Store.Disk;
using P2PWeights.Store.Gpu;
using P2PWeights.Store.Index;
using P2PWeights.Store.Manifests;
using P2PWeights.Store.Memory;
using P2PWeights.Store.References;
using P2PWeights.Store.Upkeep;

namespace P2PWeights.Store;

/// <summary>The parts of a store that hold files open, opened in the order of their need and brought into agreement.</summary>
internal sealed record OpenedParts(
    DataFolder Folder, ShardIndex Index, ChangeQueue Changes, MemoryTier? Memory, GpuTier? Gpu, DiskTier Disk, ReferenceJournal Journal, ReferenceTier References, ManifestShelf Manifests)
{
    /// <exception cref="StoreException">See <see cref="ShardStore.OpenAsync"/>. What was opened so far is closed again.</exception>
    public static OpenedParts Open(StoreOptions options, TimeProvider time, StoreLog log)
    {
        Check(options);
        var close = new Stack<Action>();
        try
        {
            var folder = DataFolder.Open(options.DataDirectory);
            close.Push(folder.Dispose);
            var disk = new DiskTier(folder.Path, options.DiskBytes);
            var changes = new ChangeQueue();
            var index = IndexFolder.Open(StoreUpkeep.IndexPath(folder.Path), changes, out var indexProblem);
            close.Push(index.Dispose);
            if (indexProblem is not null)
            {
                log.IndexRebuilt(indexProblem);
            }

            var journal = ReferenceJournal.Open(Path.Combine(folder.Path, "journal"));
            close.Push(journal.Dispose);
            if (journal.Damage is { } damage)
            {
                log.JournalDamaged(damage);
            }

            var references = new ReferenceTier(index, journal, time);
            close.Push(references.Dispose);
            var memory = OpenMemory(options, folder, log);
            close.Push(() => memory?.Close());
            var gpu = memory is not null && options.GpuMemory.Count > 0 ? GpuTier.Open(options.GpuMemory, memory.Info, time) : null;
            close.Push(() => gpu?.Close());
            IndexRecovery.Reconcile(index, memory, disk, references, time);
            var manifests = new ManifestShelf(folder.Path, log);

            // What will be acknowledged lies in folders that may just have been made: their own names must be durable too.
            PosixFile.SyncFolder(folder.Path);
            return new OpenedParts(folder, index, changes, memory, gpu, disk, journal, references, manifests);
        }
        catch (Exception failure)
        {
            while (close.TryPop(out var undo))
            {
                undo();
            }

            if (StoreFailure.IsOfFileSystem(failure))
            {
                throw StoreFailure.Of(failure, $"opening the store in {options.DataDirectory}");
            }

            throw;
        }
    }

    private static void Check(StoreOptions options)
    {
        ArgumentException.ThrowIfNullOrEmpty(options.DataDirectory);
        ArgumentOutOfRangeException.ThrowIfNegative(options.MemoryBytes);
        ArgumentOutOfRangeException.ThrowIfNegative(options.DiskBytes);
        ArgumentOutOfRangeException.ThrowIfNegative(options.ScrubBytesPerSecond);
        if (options.LowWatermark is not (> 0 and <= 1))
        {
            throw new ArgumentOutOfRangeException(nameof(options), $"{nameof(StoreOptions.LowWatermark)} is a share of the quota: above 0 and at most 1, not {options.LowWatermark}");
        }

        // Ordinals of units are ints.
        const long MostBytes = (long)int.MaxValue * BuddyAllocator.UnitBytes;
        ArgumentOutOfRangeException.ThrowIfGreaterThan(options.MemoryBytes, MostBytes, nameof(options));
        var gpus = options.GpuMemory;
        if (gpus.Count > GpuMemory.MaxGpus || gpus.DistinctBy(gpu => gpu.Device).Count() < gpus.Count
            || gpus.Any(gpu => !GpuMemory.IsDevice(gpu.Device) || gpu.Bytes < MemoryTier.MaxShardBytes || gpu.Bytes > MostBytes / GpuMemory.MaxGpus))
        {
            throw new ArgumentException($"{nameof(StoreOptions.GpuMemory)} is {string.Join(", ", gpus)}: each GPU once, by its number or host- and a number below {GpuMemory.MaxGpus}, with at least {MemoryTier.MaxShardBytes} bytes", nameof(options));
        }

        if (gpus.Count > 0 && options.MemoryBytes < MemoryTier.MaxShardBytes)
        {
            throw new ArgumentException($"{nameof(StoreOptions.GpuMemory)} needs a memory tier of {MemoryTier.MaxShardBytes} bytes or more: what GPUs hold is served to other hosts through it", nameof(options));
        }
    }

    private static MemoryTier? OpenMemory(StoreOptions options, DataFolder folder, StoreLog log)
    {
        if (ArenaSweeper.Sweep(options.ArenaRoot, except: folder.NodeId) is var swept and > 0)
        {
            log.ArenasSwept(swept, options.ArenaRoot);
        }

        if (options.MemoryBytes < MemoryTier.MaxShardBytes)
        {
            return null;
        }

        var arena = Arena.Open(options.ArenaRoot, folder.NodeId, folder.Path, options.MemoryBytes, options.Ephemeral, out var recovered);
        return new MemoryTier(arena, recovered);
    }
}
