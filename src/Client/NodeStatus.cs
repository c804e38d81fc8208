using P2PWeights.Transfer;

namespace P2PWeights.Client;

/// <summary>State of a node.</summary>
/// <param name="Id">Node id.</param>
/// <param name="Name">Name for people.</param>
/// <param name="Version">Version of the software.</param>
/// <param name="Endpoint">Where peers reach it.</param>
/// <param name="Uptime">Time since the start.</param>
/// <param name="Tracker">The tracker in use.</param>
/// <param name="TrackerReachable">Whether the last sync worked.</param>
/// <param name="Tiers">Use of each tier: name, shards, bytes, quota.</param>
/// <param name="Checkpoints">Manifests kept.</param>
/// <param name="ServedShards">Shards served since the start.</param>
/// <param name="ServedBytes">Bytes served since the start.</param>
/// <param name="Pulls">Running pulls.</param>
public sealed record NodeStatus(
    Guid Id, string Name, string Version, string Endpoint, TimeSpan Uptime, string Tracker, bool TrackerReachable,
    IReadOnlyList<TierStatus> Tiers, int Checkpoints, long ServedShards, long ServedBytes, IReadOnlyList<RunningPull> Pulls);

/// <summary>Use of one tier.</summary>
public sealed record TierStatus(string Tier, long Shards, long Bytes, long QuotaBytes);

/// <summary>A pull under way.</summary>
public sealed record RunningPull(string Checkpoint, string? Folder, PullProgress Progress);
