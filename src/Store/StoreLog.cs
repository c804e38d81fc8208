using Microsoft.Extensions.Logging;
using P2PWeights.Store.Content;

namespace P2PWeights.Store;

/// <summary>What the store tells the log. Warning: something was wrong and has been dealt with. Information: lifecycle only.</summary>
internal sealed partial class StoreLog(ILogger logger)
{
    [LoggerMessage(1, LogLevel.Information, "store {NodeId} open in {Folder}: {Shards} shards, {MemoryBytes} bytes of memory tier, {DiskBytes} of disk tier, after {Elapsed}")]
    public partial void Opened(Guid nodeId, string folder, long shards, long memoryBytes, long diskBytes, TimeSpan elapsed);

    [LoggerMessage(2, LogLevel.Warning, "the index is rebuilt from what the tiers hold: {Problem}")]
    public partial void IndexRebuilt(string problem);

    [LoggerMessage(3, LogLevel.Error, "{Problem}")]
    public partial void JournalDamaged(string problem);

    [LoggerMessage(4, LogLevel.Warning, "dropped the {Tier} replica of shard {Shard} ({Where}): {Problem}")]
    public partial void ReplicaDropped(Digest shard, Tiers tier, string where, string problem);

    [LoggerMessage(5, LogLevel.Warning, "dropped manifest {Manifest}: {Problem}")]
    public partial void ManifestDropped(Digest manifest, string problem);

    [LoggerMessage(6, LogLevel.Warning, "upkeep of the store failed and will be tried again: {Problem}")]
    public partial void UpkeepFailed(string problem);

    [LoggerMessage(7, LogLevel.Information, "removed {Count} arenas in {Root} that killed commands or nodes without a data folder had left")]
    public partial void ArenasSwept(int count, string root);

    [LoggerMessage(8, LogLevel.Warning, "closed with {Leases} leases out; the memory tier stays mapped until they are back")]
    public partial void ClosedWithLeases(int leases);

    [LoggerMessage(9, LogLevel.Warning, "the index could not write its checkpoint, the next start reads the tiers instead: {Problem}")]
    public partial void CheckpointFailed(string problem);

    [LoggerMessage(10, LogLevel.Information, "scrub done: {Replicas} replicas, {Bytes} bytes, {Wrong} wrong")]
    public partial void Scrubbed(long replicas, long bytes, int wrong);

    [LoggerMessage(11, LogLevel.Warning, "the last known replica of shard {Shard} is evicted from memory and could not be moved to disk: {Problem}")]
    public partial void DemotionFailed(Digest shard, string problem);

    [LoggerMessage(12, LogLevel.Warning, "manifest {Manifest} cannot be read now and is kept: {Problem}")]
    public partial void ManifestUnreadable(Digest manifest, string problem);

    [LoggerMessage(20, LogLevel.Warning, "lost the borrowed shard {Shard}: it was in the arena {Arena} of a node that promises it no longer, and could not be copied: {Problem}")]
    public partial void BorrowedLost(Digest shard, string arena, string problem);

    [LoggerMessage(21, LogLevel.Warning, "shards go to GPUs more slowly: the memory that they pass cannot be registered with them: {Problem}")]
    public partial void StagingNotRegistered(string problem);
}
