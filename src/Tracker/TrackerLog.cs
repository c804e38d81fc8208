using System.Net;
using Microsoft.Extensions.Logging;

namespace P2PWeights.Tracker;

/// <summary>Everything that the tracker logs. Ids are unique in the project.</summary>
internal static partial class TrackerLog
{
    [LoggerMessage(1, LogLevel.Information, "Tracker listens at {Address}; data in {Folder}; {Checkpoints} checkpoints; epoch {Epoch}")]
    public static partial void Started(ILogger logger, Uri address, string folder, int checkpoints, long epoch);

    [LoggerMessage(2, LogLevel.Information, "Tracker at {Address} stopped")]
    public static partial void Stopped(ILogger logger, Uri address);

    [LoggerMessage(3, LogLevel.Information, "Published {Checkpoint}, manifest {Manifest}")]
    public static partial void Published(ILogger logger, string checkpoint, string manifest);

    [LoggerMessage(4, LogLevel.Information, "Tagged {Checkpoint} as {Tag}")]
    public static partial void Tagged(ILogger logger, string checkpoint, string tag);

    [LoggerMessage(5, LogLevel.Information, "Removed {Checkpoint}")]
    public static partial void Removed(ILogger logger, string checkpoint);

    [LoggerMessage(6, LogLevel.Debug, "Staged {Checkpoint}: {Missing} shards without a live replica")]
    public static partial void Staged(ILogger logger, string checkpoint, int missing);

    [LoggerMessage(7, LogLevel.Debug, "Peer {Peer} asked for a full sync (its number {Sequence})")]
    public static partial void Resync(ILogger logger, string peer, long sequence);

    [LoggerMessage(8, LogLevel.Debug, "Refused {Method} {Path} with {Status}: {Reason}")]
    public static partial void RequestRefused(ILogger logger, string method, string path, int status, string reason);

    [LoggerMessage(9, LogLevel.Error, "{Method} {Path} failed")]
    public static partial void RequestFailed(ILogger logger, Exception exception, string method, string path);

    [LoggerMessage(10, LogLevel.Debug, "Deleted {Count} manifests that no version points at")]
    public static partial void ManifestsExpired(ILogger logger, int count);

    [LoggerMessage(11, LogLevel.Warning, "Housekeeping failed; tried again in a minute")]
    public static partial void HousekeepingFailed(ILogger logger, Exception exception);

    [LoggerMessage(12, LogLevel.Debug, "A connection closed before its first bytes came")]
    public static partial void SilentConnection(ILogger logger);

    [LoggerMessage(40, LogLevel.Information, "Advertises itself by multicast DNS as {Instance}, cluster {Cluster}, at {Endpoint}")]
    public static partial void Advertised(ILogger logger, string instance, string cluster, EndPoint endpoint);

    [LoggerMessage(41, LogLevel.Warning, "Somebody else has the name under which this tracker advertised itself; it is {Instance} from now on")]
    public static partial void NameTaken(ILogger logger, string instance);

    [LoggerMessage(42, LogLevel.Information, "Found tracker {Instance} at {Address} by multicast DNS")]
    public static partial void TrackerDiscovered(ILogger logger, string instance, Uri address);

    [LoggerMessage(43, LogLevel.Information, "Tracker {Instance} at {Address} is gone, says multicast DNS")]
    public static partial void TrackerGone(ILogger logger, string instance, Uri address);

    [LoggerMessage(44, LogLevel.Information, "Tracker {Instance} on this network is not used: {Reason}")]
    public static partial void TrackerRejected(ILogger logger, string instance, string reason);

    [LoggerMessage(45, LogLevel.Warning, "Multicast DNS leaves out the interface {Interface}: {Reason}")]
    public static partial void LinkNotJoined(ILogger logger, string @interface, string reason);

    [LoggerMessage(46, LogLevel.Debug, "A multicast DNS packet was not sent on {Interface}: {Reason}")]
    public static partial void MulticastNotSent(ILogger logger, string @interface, string reason);

    [LoggerMessage(47, LogLevel.Error, "Multicast DNS broke and is off until the next start")]
    public static partial void DiscoveryBroke(ILogger logger, Exception exception);
}
