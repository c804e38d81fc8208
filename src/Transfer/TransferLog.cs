using Microsoft.Extensions.Logging;
using P2PWeights.Transfer.Wire;

namespace P2PWeights.Transfer;

/// <summary>Everything this project logs.</summary>
internal static partial class TransferLog
{
    [LoggerMessage(1, LogLevel.Information, "Serving peers on {EndPoint}")]
    public static partial void Listening(this ILogger log, string endPoint);

    [LoggerMessage(2, LogLevel.Debug, "{Name} ({Remote}) opened a {Lane} lane")]
    public static partial void Serving(this ILogger log, string name, string remote, LaneKind lane);

    [LoggerMessage(3, LogLevel.Debug, "Connection of {Remote} ended: {Reason}")]
    public static partial void ConnectionEnded(this ILogger log, string remote, string reason);

    [LoggerMessage(4, LogLevel.Warning, "Refused {Remote}: {Reason}")]
    public static partial void Refused(this ILogger log, string remote, string reason);

    [LoggerMessage(6, LogLevel.Warning, "Accepting a connection failed, going on: {Reason}")]
    public static partial void AcceptFailed(this ILogger log, string reason);

    [LoggerMessage(7, LogLevel.Warning, "Shard {Shard} cannot be served")]
    public static partial void CannotServe(this ILogger log, string shard, Exception reason);

    [LoggerMessage(8, LogLevel.Warning, "Peer {Name} ({Node}) is banned until {Until}: {Reason}")]
    public static partial void Banned(this ILogger log, string name, Guid node, DateTimeOffset until, string reason);

    [LoggerMessage(9, LogLevel.Debug, "Source {Name} is up")]
    public static partial void SourceUp(this ILogger log, string name);

    [LoggerMessage(10, LogLevel.Debug, "Source {Name} is down: {Reason}")]
    public static partial void SourceDown(this ILogger log, string name, string reason);

    [LoggerMessage(11, LogLevel.Warning, "No byte came from source {Name} by {Path} for {Seconds} s; {Shards} shards are asked for elsewhere")]
    public static partial void SourceStalled(this ILogger log, string name, string path, double seconds, int shards);

    [LoggerMessage(12, LogLevel.Information, "Pull of {Manifest}: {Shards} shards, {Bytes} bytes wanted")]
    public static partial void PullStarted(this ILogger log, string manifest, int shards, long bytes);

    [LoggerMessage(13, LogLevel.Information, "Pull of {Manifest} done: {Fetched} bytes fetched, {Reused} reused, {Wasted} wasted, in {Seconds} s")]
    public static partial void PullDone(this ILogger log, string manifest, long fetched, long reused, long wasted, double seconds);

    [LoggerMessage(30, LogLevel.Debug, "Path {Path} to {Peer} works")]
    public static partial void PathProven(this ILogger log, string path, string peer);

    [LoggerMessage(EventId = 31, Message = "Path {Path} does not reach {Peer}, looked at again in {Seconds:0.0} s: {Detail}")]
    public static partial void PathUnreachable(this ILogger log, LogLevel level, string path, string peer, string detail, double seconds);

    [LoggerMessage(32, LogLevel.Warning, "Path {Path} to {Peer} is not used for {Seconds:0.0} s, the next one is ({Reason}): {Detail}")]
    public static partial void PathDemoted(this ILogger log, string path, string peer, string reason, string detail, double seconds);

    [LoggerMessage(40, LogLevel.Debug, "The lease lane of {Remote} ended with {Leases} leases out; they run out, or end with this node")]
    public static partial void LeasesLeft(this ILogger log, string remote, int leases);

    [LoggerMessage(41, LogLevel.Error, "{Request} of {Remote} failed unexpectedly, and was refused")]
    public static partial void LeaseRequestFailed(this ILogger log, FrameType request, string remote, Exception failure);

    [LoggerMessage(60, LogLevel.Information, "RDMA device {Device} is open, address {Gid}: {Bytes} bytes of memory registered, leases by {Means}")]
    public static partial void RdmaDeviceOpen(this ILogger log, string device, string gid, long bytes, string means);

    [LoggerMessage(61, LogLevel.Warning, "RDMA device {Device} is not used: {Reason}")]
    public static partial void RdmaDeviceUnusable(this ILogger log, string device, string reason);

    [LoggerMessage(62, LogLevel.Warning, "RDMA to {Peer} lost a part, the rest goes on ({Reason}): {Detail}")]
    public static partial void RdmaPartLost(this ILogger log, string peer, string reason, string detail);

    [LoggerMessage(50, LogLevel.Information, "What was borrowed from {Peer} is held here now: {Kept} shards copied, {Lost} lost ({Reason})")]
    public static partial void BorrowedKept(this ILogger log, string peer, int kept, int lost, string reason);

    [LoggerMessage(51, LogLevel.Error, "Copying what was borrowed from {Peer} failed, it is tried again in a second")]
    public static partial void KeepingFailed(this ILogger log, string peer, Exception failure);
}
