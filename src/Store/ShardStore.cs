using Microsoft.Extensions.Logging;
using P2PWeights.Store.Content;
using P2PWeights.Store.Folders;

namespace P2PWeights.Store;

/// <summary>Where a replica lies.</summary>
[Flags]
public enum Tiers
{
    None = 0,
    Gpu = 1,
    Memory = 2,
    Disk = 4,
    Reference = 8,
}

/// <summary>A shard was gained (it can be leased from now on) or lost (it cannot any more).</summary>
public readonly record struct ShardChange(ShardInfo Shard, bool Gained);

/// <summary>
/// The shards of one node, in tiers. The one entry of this project: reads go through a lease, writes through
/// <see cref="BeginWriteAsync"/> and a verified commit, so that no reader ever sees a byte that does not hash to its digest.
/// Thread-safe. One process at a time may have a data folder open.
/// </summary>
public sealed class ShardStore : IAsyncDisposable
{
    private ShardStore() => throw new NotImplementedException();

    /// <summary>Opens or creates the store; after a crash it holds everything acknowledged and nothing it cannot prove.</summary>
    /// <exception cref="StoreException">Locked by another process, or the folder cannot be used.</exception>
    public static Task<ShardStore> OpenAsync(StoreOptions options, TimeProvider time, ILoggerFactory loggers, CancellationToken cancellationToken) =>
        throw new NotImplementedException();

    /// <summary>Identity of this node: made once, kept in the data folder.</summary>
    public Guid NodeId => throw new NotImplementedException();

    /// <summary>Raised after each gain and loss, on the thread that made it; handlers must not block or throw.</summary>
    public event Action<ShardChange>? Changed { add => throw new NotImplementedException(); remove => throw new NotImplementedException(); }

    /// <summary>Whether a replica is held that may be leased.</summary>
    public bool Contains(Digest digest) => throw new NotImplementedException();

    /// <summary>The tiers that hold the shard.</summary>
    public Tiers Locate(Digest digest) => throw new NotImplementedException();

    /// <summary>All shards held, a snapshot.</summary>
    public IReadOnlyList<ShardInfo> List() => throw new NotImplementedException();

    /// <summary>Bytes and shards per tier, quotas, leases and pins out.</summary>
    public StoreUsage Usage => throw new NotImplementedException();

    /// <summary>
    /// Promises the shard's bytes until the lease is disposed. Bytes that this process has not proved since it started (recovered memory, disk after a
    /// crash, references) are hashed first; a replica that fails is dropped. Null when no replica is left.
    /// </summary>
    public ValueTask<ShardLease?> LeaseAsync(Digest digest, CancellationToken cancellationToken) => throw new NotImplementedException();

    /// <summary>
    /// Room to receive a shard. Fill <see cref="ShardWrite.Buffer"/>, then commit; disposing without a commit gives the room back.
    /// With a folder, the commit writes the bytes to every place of the shard in that folder and references them there; without,
    /// they stay in the memory tier when there is room, else on disk. Waits while the bounded staging room is out.
    /// </summary>
    /// <exception cref="StoreException"><see cref="StoreError.Full"/>.</exception>
    public ValueTask<ShardWrite> BeginWriteAsync(ShardInfo shard, CheckpointFolder? folder, CancellationToken cancellationToken) => throw new NotImplementedException();

    /// <summary>
    /// Takes ranges of a file that somebody else owns as replicas. The caller has hashed the ranges while the file had
    /// <paramref name="identity"/>; from now on the bytes are served only while the file still has it. Durable on return.
    /// </summary>
    /// <exception cref="StoreException"><see cref="StoreError.NotAllowed"/>: the file's identity is another by now.</exception>
    public ValueTask ReferenceAsync(string path, FileIdentity identity, IReadOnlyList<FileExtent> extents, CancellationToken cancellationToken) => throw new NotImplementedException();

    /// <summary>Keeps shards from eviction until the returned pin is disposed. Shards that are not held yet are kept once they come.</summary>
    public IDisposable Pin(IEnumerable<Digest> shards) => throw new NotImplementedException();

    /// <summary>Drops every unleased, unpinned replica of the shard in the tiers given. Reference files are never touched, only forgotten. Returns the tiers dropped.</summary>
    public ValueTask<Tiers> EvictAsync(Digest digest, Tiers tiers, CancellationToken cancellationToken) => throw new NotImplementedException();

    /// <summary>Tells how many replicas other nodes hold, for eviction: the last known replica goes last. Unknown digests count as 0.</summary>
    public void SetReplicaHint(Func<Digest, int> otherReplicas) => throw new NotImplementedException();

    /// <summary>Keeps a manifest, durable on return; the node serves its swarm again after a restart.</summary>
    public ValueTask SaveManifestAsync(Manifest manifest, CancellationToken cancellationToken) => throw new NotImplementedException();

    /// <summary>A manifest kept by <see cref="SaveManifestAsync"/>, or null.</summary>
    public Manifest? FindManifest(Digest digest) => throw new NotImplementedException();

    /// <summary>Digests of the manifests kept.</summary>
    public IReadOnlyList<Digest> Manifests => throw new NotImplementedException();

    /// <summary>Forgets a manifest; its shards stay until evicted.</summary>
    public ValueTask RemoveManifestAsync(Digest digest, CancellationToken cancellationToken) => throw new NotImplementedException();

    /// <summary>Hashes every replica of the shards given (all when null), quarantines and drops what is wrong.</summary>
    /// <param name="bytesPerSecond">Read rate; 0 for unlimited.</param>
    public Task<ScrubReport> ScrubAsync(IReadOnlyCollection<Digest>? shards, long bytesPerSecond, IProgress<ScrubReport>? progress, CancellationToken cancellationToken) => throw new NotImplementedException();

    /// <summary>Checkpoints the index and releases the data folder. Leases must be back.</summary>
    public ValueTask DisposeAsync() => throw new NotImplementedException();
}

/// <summary>A range of a file that holds a shard.</summary>
public readonly record struct FileExtent(ShardInfo Shard, long Offset);

/// <summary>State of one tier.</summary>
/// <param name="Tier">The tier.</param>
/// <param name="Shards">Replicas held.</param>
/// <param name="Bytes">Bytes they take, room lost to rounding included.</param>
/// <param name="QuotaBytes">Most bytes allowed; 0 for the reference tier, which has no quota.</param>
public readonly record struct TierUsage(Tiers Tier, long Shards, long Bytes, long QuotaBytes);

/// <summary>A snapshot of the store's contents.</summary>
public sealed record StoreUsage(IReadOnlyList<TierUsage> Tiers, int Leases, int Pinned);

/// <summary>What a scrub found so far.</summary>
/// <param name="Checked">Replicas hashed.</param>
/// <param name="Bytes">Bytes hashed.</param>
/// <param name="Wrong">Shards with a replica that was wrong and has been dropped, to be repaired from peers.</param>
public sealed record ScrubReport(long Checked, long Bytes, IReadOnlyList<(ShardInfo Shard, Tiers Tier, string Where)> Wrong);
