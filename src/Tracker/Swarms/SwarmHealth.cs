namespace P2PWeights.Tracker.Swarms;

/// <summary>How well a manifest is held.</summary>
/// <param name="AvailableShards">Distinct shards with at least one live replica.</param>
/// <param name="MissingShards">Distinct shards without one.</param>
/// <param name="CompletePeers">Live peers that hold every shard.</param>
/// <param name="LastingCopies">Those of them that are not passing.</param>
internal readonly record struct SwarmHealth(int AvailableShards, int MissingShards, int CompletePeers, int LastingCopies);

/// <summary>Sizes of the soft state, for status and metrics.</summary>
/// <param name="Peers">Live peers.</param>
/// <param name="Swarms">Swarms in memory.</param>
/// <param name="DistinctShards">Distinct shards with a live replica.</param>
/// <param name="Syncs">Syncs answered since the start.</param>
internal readonly record struct SwarmCounts(int Peers, int Swarms, int DistinctShards, long Syncs);
