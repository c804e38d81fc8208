using Microsoft.Extensions.Logging;
using P2PWeights.Store;
using P2PWeights.Store.Content;
using P2PWeights.Tracker;

namespace P2PWeights.Client;

/// <summary>Every message that this project logs. Error: a person must act; Warning: we coped; Information: lifecycle; Debug: the rest.</summary>
internal static partial class NodeLog
{
    [LoggerMessage(1, LogLevel.Information, "node {Name} ({Id}) serves peers at {Endpoint}, store in {DataDirectory}")]
    public static partial void Started(ILogger log, string name, Guid id, string endpoint, string dataDirectory);

    [LoggerMessage(2, LogLevel.Information, "local API at {Socket}")]
    public static partial void Listening(ILogger log, string socket);

    [LoggerMessage(3, LogLevel.Information, "node {Name} stopped")]
    public static partial void Stopped(ILogger log, string name);

    [LoggerMessage(4, LogLevel.Information, "in step with the tracker (after {Failures} failures)")]
    public static partial void TrackerFound(ILogger log, int failures);

    [LoggerMessage(5, LogLevel.Warning, "no sync with the tracker, trying on; transfers go on without it: {Reason}")]
    public static partial void TrackerLost(ILogger log, string reason);

    [LoggerMessage(6, LogLevel.Error, "a sync with the tracker failed in a way that nobody thought of, trying on; if it goes on, the tracker no longer sees this node")]
    public static partial void SyncBroke(ILogger log, Exception exception);

    [LoggerMessage(7, LogLevel.Debug, "the tracker did not hear the goodbye, and will see the lease run out: {Reason}")]
    public static partial void GoodbyeUnheard(ILogger log, string reason);

    [LoggerMessage(8, LogLevel.Debug, "catalog: {Kind} {Checkpoint}")]
    public static partial void CatalogEvent(ILogger log, string kind, string checkpoint);

    [LoggerMessage(9, LogLevel.Information, "pull of {Checkpoint} ({Manifest}) into {Target}")]
    public static partial void PullStarted(ILogger log, string checkpoint, Digest manifest, string target);

    [LoggerMessage(10, LogLevel.Information, "pulled {Checkpoint}: {Fetched} bytes fetched, {Reused} bytes reused, {Seconds:0.00} s")]
    public static partial void PullDone(ILogger log, string checkpoint, long fetched, long reused, double seconds);

    [LoggerMessage(11, LogLevel.Information, "publication of {Folder} as {Checkpoint}")]
    public static partial void PublishStarted(ILogger log, string folder, string checkpoint);

    [LoggerMessage(12, LogLevel.Information, "published {Checkpoint} ({Manifest}): {Bytes} bytes, {Outcome}")]
    public static partial void PublishDone(ILogger log, string checkpoint, Digest manifest, long bytes, PublishOutcome outcome);

    [LoggerMessage(13, LogLevel.Warning, "shard {Shard}: wrong bytes in the {Tier} tier at {Where}; the replica is dropped")]
    public static partial void ReplicaWrong(ILogger log, Digest shard, Tiers tier, string where);

    [LoggerMessage(14, LogLevel.Warning, "wrong shards of {Manifest} are not repaired: {Reason}")]
    public static partial void RepairFailed(ILogger log, Digest manifest, string reason);

    [LoggerMessage(15, LogLevel.Information, "scrubbed {Checked} replicas, {Bytes} bytes: {Wrong} wrong, {Repaired} repaired, {Unrepaired} not")]
    public static partial void Scrubbed(ILogger log, long @checked, long bytes, int wrong, int repaired, int unrepaired);

    [LoggerMessage(16, LogLevel.Warning, "a background scrub ended early: {Reason}")]
    public static partial void ScrubFailed(ILogger log, string reason);

    [LoggerMessage(17, LogLevel.Debug, "still waiting for another peer to hold {Checkpoint}; the tracker does not answer: {Reason}")]
    public static partial void WaitingWithoutTracker(ILogger log, string checkpoint, string reason);

    [LoggerMessage(18, LogLevel.Error, "the request {Method} {Path} failed in a way that nobody thought of")]
    public static partial void RequestBroke(ILogger log, string method, string path, Exception exception);

    [LoggerMessage(19, LogLevel.Information, "entered the swarm of manifest {Manifest}: a peer asked, and shards of it are held here")]
    public static partial void AskedSwarmEntered(ILogger log, Digest manifest);

    [LoggerMessage(20, LogLevel.Information, "a peer asked about manifest {Manifest}, which could not be had from the tracker: {Reason}")]
    public static partial void AskedSwarmNotEntered(ILogger log, Digest manifest, string reason);

    [LoggerMessage(21, LogLevel.Error, "a peer asked about manifest {Manifest}, which was not entered, in a way that nobody thought of")]
    public static partial void AskedSwarmBroke(ILogger log, Digest manifest, Exception exception);

    [LoggerMessage(30, LogLevel.Information, "update of {Engines} engines on {Devices} devices with {Checkpoint}: {Bytes} bytes in {Buckets} buckets, {Slots} slots of {SlotBytes} bytes")]
    public static partial void UpdateStarted(ILogger log, string checkpoint, int engines, int devices, long bytes, int buckets, int slots, long slotBytes);

    [LoggerMessage(31, LogLevel.Information, "updated {Updated} of {Engines} engines with {Checkpoint} in {Seconds:0.00} s; it waited most for {Limit}")]
    public static partial void UpdateDone(ILogger log, string checkpoint, int updated, int engines, double seconds, string limit);

    [LoggerMessage(37, LogLevel.Warning, "the update with {Checkpoint} broke off")]
    public static partial void UpdateBrokeOff(ILogger log, string checkpoint, Exception exception);

    [LoggerMessage(34, LogLevel.Warning, "{Engine} is {State} after the update with {Checkpoint}: {Reason}")]
    public static partial void EngineNotUpdated(ILogger log, string engine, string state, string checkpoint, string? reason);

    [LoggerMessage(35, LogLevel.Warning, "memory of {Devices} is given up until this process ends, because copies may still run there; {Bytes} bytes so far: restart the node when its devices are well")]
    public static partial void MemoryGivenUp(ILogger log, string devices, long bytes);

    [LoggerMessage(38, LogLevel.Warning, "the devices of an update are still at work on what it left behind: its memory is freed, and the next update begins, when that has ended")]
    public static partial void DevicesNotFreed(ILogger log);

    [LoggerMessage(33, LogLevel.Information, "read back {Checkpoint} from engines in {Seconds:0.00} s: {Verified} of {Engines} hold every byte of it")]
    public static partial void UpdateVerified(ILogger log, string checkpoint, int verified, int engines, double seconds);

    [LoggerMessage(32, LogLevel.Information, "the arena, {Bytes} bytes, is registered with the GPUs")]
    public static partial void ArenaRegistered(ILogger log, long bytes);

    [LoggerMessage(36, LogLevel.Warning, "the arena, {Bytes} bytes, cannot be registered with the GPUs: {Reason}; updates go through small staging memory, which is slower: raise the limit on locked memory (ulimit -l)")]
    public static partial void ArenaNotRegistered(ILogger log, long bytes, string reason);
}
