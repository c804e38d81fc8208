using Microsoft.Extensions.Logging;
using Microsoft.Win32.SafeHandles;
using P2PWeights.Store.Adopting;
using P2PWeights.Store.Content;
using P2PWeights.Store.Disk;
using P2PWeights.Store.Eviction;
using P2PWeights.Store.Folders;
using P2PWeights.Store.Gpu;
using P2PWeights.Store.Index;
using P2PWeights.Store.Leasing;
using P2PWeights.Store.Manifests;
using P2PWeights.Store.Memory;
using P2PWeights.Store.References;
using P2PWeights.Store.Scrubbing;
using P2PWeights.Store.Upkeep;
using P2PWeights.Store.Writing;

namespace P2PWeights.Store;

/// <summary>
/// The shards of one node, in tiers. The one entry of this project: reads go through a lease, writes through
/// <see cref="BeginWriteAsync"/> and a verified commit, so that no reader ever sees a byte that does not hash to its digest.
/// Thread-safe. One process at a time may have a data folder open.
/// </summary>
public sealed class ShardStore : IAsyncDisposable
{
    private readonly DataFolder _folder;
    private readonly ShardIndex _index;
    private readonly ChangeQueue _changes;
    private readonly MemoryTier? _memory;
    private readonly GpuTier? _gpu;
    private readonly DiskTier _disk;
    private readonly DiskKeeper _diskKeeper;
    private readonly ReferenceJournal _journal;
    private readonly ReferenceTier _references;
    private readonly PinTable _pins = new();
    private readonly PinTable _arriving = new();
    private readonly Evictor _evictor;
    private readonly LeaseDesk _leases;
    private readonly ShardPlacer _placer;
    private readonly MemoryLoader _loader;
    private readonly Adopter _adopter;
    private readonly GpuAdopter? _gpuAdopter;
    private readonly ManifestShelf _manifests;
    private readonly Scrubber _scrubber;
    private readonly StoreUpkeep _upkeep;
    private readonly StoreMetrics _metrics = new();
    private int _disposed;

    private ShardStore(StoreOptions options, OpenedParts parts, TimeProvider time, StoreLog log)
    {
        _folder = parts.Folder;
        (_index, _changes, _memory, _gpu, _disk, _journal, _references, _manifests) =
            (parts.Index, parts.Changes, parts.Memory, parts.Gpu, parts.Disk, parts.Journal, parts.References, parts.Manifests);
        _diskKeeper = new DiskKeeper(_disk, _index, time);
        _evictor = new Evictor(_index, _memory, _gpu, _disk, _diskKeeper, _pins, _arriving, options.LowWatermark, time, log, _metrics);
        _leases = new LeaseDesk(_index, _memory, _gpu, _disk, _diskKeeper, _references, time, log, _metrics);
        _placer = new ShardPlacer(_index, _memory, _gpu, _disk, _diskKeeper, _references, _evictor, _metrics, options.RoomTimeout, time);
        _loader = new MemoryLoader(_leases, _placer, _arriving);
        _adopter = new Adopter(_index, _diskKeeper, _references, _evictor, _placer, log);
        _gpuAdopter = _gpu is null ? null : new GpuAdopter(_index, _gpu, _evictor, time);
        if (_gpu?.Register(_placer.Staging) is { } problem)
        {
            log.StagingNotRegistered(problem);
        }

        _scrubber = new Scrubber(_index, _leases, time, _metrics);
        _upkeep = new StoreUpkeep(_folder.Path, _index, _references, _scrubber, options.ScrubBytesPerSecond, time, log);
        _metrics.Observe(this);
    }

    /// <summary>Opens or creates the store; after a crash it holds everything acknowledged and nothing it cannot prove.</summary>
    /// <exception cref="StoreException"><see cref="StoreError.Locked"/> by another process; <see cref="StoreError.Full"/>: no room for the arena;
    /// or the folder cannot be used.</exception>
    public static Task<ShardStore> OpenAsync(StoreOptions options, TimeProvider time, ILoggerFactory loggers, CancellationToken cancellationToken) =>
        Task.Run(() => Open(options, time, new StoreLog(loggers.CreateLogger<ShardStore>())), cancellationToken);

    /// <summary>Identity of this node: made once, kept in the data folder.</summary>
    public Guid NodeId => _folder.NodeId;

    /// <summary>
    /// Raised after each gain and loss, in their order for each shard, on the thread that made it; handlers must not block or throw. They may ask the store anything.
    /// </summary>
    public event Action<ShardChange>? Changed
    {
        add => _changes.Changed += value;
        remove => _changes.Changed -= value;
    }

    /// <summary>Whether a replica is held that may be leased.</summary>
    public bool Contains(Digest digest) => Locate(digest) != Tiers.None;

    /// <summary>The tiers that hold the shard.</summary>
    public Tiers Locate(Digest digest) => _index.Find(digest).Tiers;

    /// <summary>The GPU that holds a shard, a place in <see cref="Gpus"/>; null when none does.</summary>
    public int? GpuOf(Digest digest) => _index.Find(digest) is var record && record.Has(Tiers.Gpu) ? _gpu!.PlaceOf(record.GpuUnit).Gpu : null;

    /// <summary>All shards held, a snapshot.</summary>
    public IReadOnlyList<ShardInfo> List() => [.. _index.Snapshot().Select(entry => new ShardInfo(entry.Digest, entry.Record.Size))];

    /// <summary>The arena of the memory tier; null when there is none.</summary>
    public ArenaInfo? Arena => _memory?.Info;

    /// <summary>
    /// All native memory in which <see cref="ShardWrite.Buffer"/> and <see cref="ShardLease.Memory"/> may lie, for devices that register it once: the arena's blocks,
    /// then the staging memory. Only the staging of a shard above 16 MiB, which no manifest of this version has, lies elsewhere.
    /// </summary>
    public IReadOnlyList<MemoryRegion> Regions => _memory is null ? [_placer.Staging.Region] : [_memory.Region, _placer.Staging.Region];

    /// <summary>The GPUs whose memory holds shards, as <see cref="GpuMemory.Device"/> named them; a <see cref="ShardTarget"/> counts them from 0.</summary>
    public IReadOnlyList<string> Gpus => _gpu?.Names ?? [];

    /// <summary>Replicas hashed since the start because nobody had proved them, or to check them.</summary>
    internal long Proofs => _leases.Proofs;

    /// <summary>Whether a shard asked in vain for room in memory within the last 5 seconds, while leases kept there what could have gone: whoever lends memory out should lend no more of it.</summary>
    public bool IsMemoryWanted => _evictor.IsMemoryWanted;

    /// <summary>Bytes and shards per tier, quotas, leases and pins out.</summary>
    public StoreUsage Usage
    {
        get
        {
            var references = _references.Usage;
            return new StoreUsage(
                [
                    new TierUsage(Tiers.Memory, _memory?.Shards ?? 0, _memory?.UsedBytes ?? 0, _memory?.QuotaBytes ?? 0),
                    new TierUsage(Tiers.Disk, _disk.Shards, _disk.UsedBytes, _disk.QuotaBytes),
                    new TierUsage(Tiers.Reference, references.Shards, references.Bytes, 0),
                    .. _gpu is null ? (ReadOnlySpan<TierUsage>)[] : [new TierUsage(Tiers.Gpu, _gpu.Shards, _gpu.UsedBytes, _gpu.QuotaBytes)],
                ],
                _leases.Out,
                _pins.Count);
        }
    }

    /// <summary>
    /// Promises the shard's bytes until the lease is disposed. Bytes that this process has not proved since it started (recovered memory, disk,
    /// references) are hashed first; a replica that fails is dropped. What only a GPU holds is brought to memory. Null when no replica is left.
    /// </summary>
    /// <exception cref="StoreException"><see cref="StoreError.Full"/>: only a GPU holds the shard, and everything in memory must stay.</exception>
    public ValueTask<ShardLease?> LeaseAsync(Digest digest, CancellationToken cancellationToken) =>
        _gpu is null ? _leases.LeaseAsync(digest, cancellationToken) : LeaseOrBringAsync(digest, cancellationToken);

    /// <summary>Leases the shard on the GPU that holds it, proved as for <see cref="LeaseAsync"/>; null when none does. Such a lease has no file.</summary>
    public ValueTask<ShardLease?> LeaseInGpuAsync(Digest digest, CancellationToken cancellationToken) => _leases.LeaseAsync(digest, Tiers.Gpu, cancellationToken);

    /// <summary>
    /// Leases the shard as <see cref="LeaseAsync"/> does, but what only a GPU holds is leased there, and has no file: it takes no room in the memory tier. Null when no replica is left.
    /// </summary>
    public ValueTask<ShardLease?> LeaseWhereItLiesAsync(Digest digest, CancellationToken cancellationToken) => _leases.LeaseWhereItLiesAsync(digest, cancellationToken);

    /// <summary>
    /// Leases the shard in the memory tier, where devices can read it, and brings it there first, hashed again, when only files or a GPU hold it. Null when no replica is left.
    /// </summary>
    /// <exception cref="StoreException"><see cref="StoreError.Full"/>: there is no memory tier, or everything in it must stay.</exception>
    public ValueTask<ShardLease?> LeaseInMemoryAsync(Digest digest, CancellationToken cancellationToken) => _loader.LeaseAsync(digest, cancellationToken);

    /// <summary>
    /// Room to receive a shard. Fill <see cref="ShardWrite.Buffer"/>, then commit; disposing without a commit gives the room back.
    /// For a folder, the commit writes the bytes to every place of the shard in that folder and references them there; for a GPU, it copies them there; else
    /// they stay in the memory tier when there is room, else on disk. Waits while the bounded staging room is out.
    /// </summary>
    /// <exception cref="StoreException"><see cref="StoreError.Full"/>.</exception>
    public ValueTask<ShardWrite> BeginWriteAsync(ShardInfo shard, ShardTarget target, CancellationToken cancellationToken) =>
        _placer.PlaceAsync(shard, target, cancellationToken);

    /// <summary>
    /// Takes ranges of a file that somebody else owns as replicas. The caller has hashed the ranges while the file had
    /// <paramref name="identity"/>; from now on the bytes are served only while the file still has it. Durable on return.
    /// </summary>
    /// <exception cref="StoreException"><see cref="StoreError.NotAllowed"/>: the file's identity is another by now.</exception>
    public ValueTask ReferenceAsync(string path, FileIdentity identity, IReadOnlyList<FileExtent> extents, CancellationToken cancellationToken) =>
        _references.ReferenceAsync(path, identity, extents, cancellationToken);

    /// <summary>
    /// Serves what a scan has found in a folder whose pull is resumed, from the unfinished files. Not durable: when the folder is complete, pass each of its
    /// files to <see cref="ReferenceAsync"/>.
    /// </summary>
    /// <param name="folder">A folder that has been scanned.</param>
    public async ValueTask AdoptFolderAsync(CheckpointFolder folder, CancellationToken cancellationToken)
    {
        foreach (var shard in folder.Manifest.Shards)
        {
            await _references.ReferenceUnfinishedAsync(shard, folder.PlacesOf(shard.Digest), cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>
    /// Takes a shard from a file of another node on this host, without a copy: by a hard link when it is a whole file of that node's disk tier, else as a reference to the range.
    /// The replica is hashed before its first reader sees it. A file that another user can write to is not taken so.
    /// </summary>
    /// <param name="file">Stays owned by the caller.</param>
    /// <param name="offset">Where the shard starts, as the other node said it.</param>
    /// <param name="tier">The tier in which the other node holds it, as it said it.</param>
    /// <returns>Whether the shard is held now. When not, the file cannot be taken so: fetch the shard.</returns>
    /// <exception cref="StoreException">The disk failed.</exception>
    public ValueTask<bool> AdoptAsync(ShardInfo shard, ForeignFile file, long offset, Tiers tier, CancellationToken cancellationToken) =>
        _adopter.AdoptAsync(shard, file, offset, tier, cancellationToken);

    /// <summary>
    /// Copies a shard from a range of another node's file or arena into its places in a folder, inside the kernel, sharing blocks where the file system can, hashes it there,
    /// and references it.
    /// </summary>
    /// <param name="file">Open; read while this runs.</param>
    /// <returns>False when the kernel cannot copy between the two: fetch the shard.</returns>
    /// <exception cref="StoreException"><see cref="StoreError.WrongDigest"/>: the range does not hold the shard; <see cref="StoreError.Full"/> or <see cref="StoreError.Io"/>: the disk failed.</exception>
    public ValueTask<bool> AdoptAsync(ShardInfo shard, SafeFileHandle file, long offset, CheckpointFolder folder, CancellationToken cancellationToken) =>
        _adopter.AdoptAsync(shard, file, offset, folder, cancellationToken);

    /// <summary>Opens what another node of this host tells of its GPU arenas; null when there is nothing, or this store has no gpu tier.</summary>
    /// <param name="arena">That node's arena, proved to be its own. Taken over when this succeeds.</param>
    /// <param name="problem">Why not, one clause for people; null when it is open.</param>
    public ForeignGpus? OpenForeignGpus(ForeignArena arena, out string? problem)
    {
        if (_gpu is null)
        {
            problem = "this node has no gpu tier";
            return null;
        }

        return GpuExports.TryRead(arena.Path, arena.Nonce, out problem) is { } exports ? new ForeignGpus(arena, exports, _gpu) : null;
    }

    /// <summary>
    /// Has the devices copy a shard from a GPU of another node on this host to one of this store. The replica is hashed before its first reader sees it.
    /// </summary>
    /// <param name="source">In use meanwhile.</param>
    /// <param name="gpu">Where the other node has it, with the offset, checked by <see cref="ForeignGpus.Has"/>.</param>
    /// <param name="target">A place in <see cref="Gpus"/>.</param>
    /// <param name="isPromised">Asked after the copy: whether the other node's promise still holds. When not, nothing is kept.</param>
    /// <returns>Whether that GPU holds the shard now. When not, the promise was broken, the two devices cannot copy to each other, or another GPU of this store holds it.</returns>
    /// <exception cref="StoreException"><see cref="StoreError.Full"/>: everything on the GPU must stay.</exception>
    /// <exception cref="IOException">The other node's memory cannot be opened, or a device failed.</exception>
    public ValueTask<bool> AdoptAsync(
        ShardInfo shard, ForeignGpus source, int gpu, long offset, int target, Func<bool> isPromised, CancellationToken cancellationToken) =>
        _gpuAdopter!.AdoptAsync(shard, source, gpu, offset, target, isPromised, cancellationToken);

    /// <summary>
    /// Holds a shard where it lies in the arena of another node on this host, as a reference, for as long as that node promises it. The replica is hashed before its first reader
    /// sees it, and every read is checked against the promise. It ends with this process. When the promise is about to end, call <see cref="KeepBorrowedAsync"/>.
    /// </summary>
    /// <param name="lease">The promise. The store's from now on, in every case: disposed when the replica is dropped and the last lease on it is back.</param>
    /// <returns>False when the arena is closed, is another user's, or its directory does not name the shard there: fetch the shard.</returns>
    public bool Borrow(ShardInfo shard, ForeignArena arena, long offset, IForeignLease lease) => _adopter.Borrow(shard, arena, offset, lease);

    /// <summary>
    /// Copies a borrowed shard into the tiers, verified, and ends the borrowing. The owner may have broken its promise already: what is copied is hashed. A shard whose bytes
    /// are gone, or for which there is no room, is dropped.
    /// </summary>
    /// <returns>Whether the shard is held now.</returns>
    public ValueTask<bool> KeepBorrowedAsync(Digest digest, CancellationToken cancellationToken) => _adopter.KeepAsync(digest, cancellationToken);

    /// <summary>
    /// Keeps shards from eviction until the returned pin is disposed. Shards that are not held yet are kept once they come. Of a shard that a GPU holds, proven, the replica in memory may
    /// go all the same: others need the room, and it can be brought again.
    /// </summary>
    public IDisposable Pin(IEnumerable<Digest> shards) => _pins.Pin(shards);

    /// <summary>Drops every unleased, unpinned replica of the shard in the tiers given. Reference files are never touched, only forgotten. Returns the tiers dropped.</summary>
    public async ValueTask<Tiers> EvictAsync(Digest digest, Tiers tiers, CancellationToken cancellationToken)
    {
        var dropped = Tiers.None;
        if (tiers.HasFlag(Tiers.Memory) && _evictor.TryDropFromMemory(digest))
        {
            dropped |= Tiers.Memory;
        }

        if (tiers.HasFlag(Tiers.Gpu) && _evictor.TryDropFromGpu(digest))
        {
            dropped |= Tiers.Gpu;
        }

        if (tiers.HasFlag(Tiers.Disk) && await _evictor.TryDropFromDiskAsync(digest, cancellationToken).ConfigureAwait(false))
        {
            dropped |= Tiers.Disk;
        }

        if (tiers.HasFlag(Tiers.Reference) && !_pins.IsPinned(digest) && await _references.ForgetAsync(digest, cancellationToken).ConfigureAwait(false))
        {
            dropped |= Tiers.Reference;
        }

        return dropped;
    }

    /// <summary>Tells how many replicas other nodes hold, for eviction: the last known replica goes last. Unknown digests count as 0.</summary>
    public void SetReplicaHint(Func<Digest, int> otherReplicas) => _evictor.ReplicasElsewhere = otherReplicas;

    /// <summary>Keeps a manifest, durable on return; the node serves its swarm again after a restart.</summary>
    public ValueTask SaveManifestAsync(Manifest manifest, CancellationToken cancellationToken) =>
        new(Task.Run(() => _manifests.Save(manifest), cancellationToken));

    /// <summary>A manifest kept by <see cref="SaveManifestAsync"/>, or null.</summary>
    public Manifest? FindManifest(Digest digest) => _manifests.Find(digest);

    /// <summary>Digests of the manifests kept.</summary>
    public IReadOnlyList<Digest> Manifests => _manifests.Digests;

    /// <summary>Forgets a manifest; its shards stay until evicted.</summary>
    public ValueTask RemoveManifestAsync(Digest digest, CancellationToken cancellationToken) =>
        new(Task.Run(() => _manifests.Remove(digest), cancellationToken));

    /// <summary>Hashes every replica of the shards given (all when null), quarantines and drops what is wrong.</summary>
    /// <param name="bytesPerSecond">Read rate; 0 for unlimited.</param>
    public Task<ScrubReport> ScrubAsync(IReadOnlyCollection<Digest>? shards, long bytesPerSecond, IProgress<ScrubReport>? progress, CancellationToken cancellationToken) =>
        Task.Run(() => _scrubber.RunAsync(shards, bytesPerSecond, progress, cancellationToken), cancellationToken);

    /// <summary>Checkpoints the index and releases the data folder. Leases must be back.</summary>
    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
        {
            return;
        }

        await _upkeep.StopAsync(_leases.Out).ConfigureAwait(false);
        _upkeep.Dispose();
        _metrics.Dispose();
        _gpu?.Unregister();
        _placer.Dispose();
        _evictor.Dispose();
        _diskKeeper.Dispose();
        _references.Dispose();
        _journal.Dispose();
        _index.Dispose();
        _gpu?.Close();
        _memory?.Close();
        _folder.Dispose();
    }

    private async ValueTask<ShardLease?> LeaseOrBringAsync(Digest digest, CancellationToken cancellationToken) =>
        await _leases.LeaseAsync(digest, cancellationToken).ConfigureAwait(false)
        ?? (Locate(digest).HasFlag(Tiers.Gpu) ? await _loader.LeaseAsync(digest, cancellationToken).ConfigureAwait(false) : null);

    private static ShardStore Open(StoreOptions options, TimeProvider time, StoreLog log)
    {
        var start = time.GetTimestamp();
        var parts = OpenedParts.Open(options, time, log);
        var store = new ShardStore(options, parts, time, log);
        log.Opened(store.NodeId, parts.Folder.Path, parts.Index.Count, parts.Memory?.UsedBytes ?? 0, parts.Disk.UsedBytes, time.GetElapsedTime(start));
        store._upkeep.Start();
        return store;
    }
}
