namespace P2PWeights.Tracker;

/// <summary>The tracker's own state.</summary>
/// <param name="Version">Version of the program.</param>
/// <param name="Epoch">The same number that each <see cref="SyncResponse"/> carries; changes with each start.</param>
/// <param name="Uptime">Time since the start.</param>
/// <param name="Checkpoints">Visible versions; tags do not count.</param>
/// <param name="Staged">Versions that somebody asked to publish and that wait for replicas.</param>
/// <param name="Peers">Live peers.</param>
/// <param name="DistinctShards">Distinct shards that live peers hold.</param>
/// <param name="Syncs">Syncs answered since the start.</param>
public sealed record TrackerStatus(string Version, long Epoch, TimeSpan Uptime, int Checkpoints, int Staged, int Peers, int DistinctShards, long Syncs);
