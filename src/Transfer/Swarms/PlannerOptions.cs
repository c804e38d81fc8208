namespace P2PWeights.Transfer.Swarms;

/// <summary>The numbers that a <see cref="PullPlanner"/> goes by.</summary>
/// <param name="WindowBytes">Bytes asked for and not verified yet, over all sources.</param>
/// <param name="LanesPerSource">Connections per source; each needs a shard on its way and one asked for.</param>
internal sealed record PlannerOptions(long WindowBytes, int LanesPerSource)
{
    /// <summary>
    /// How much a source is asked for ahead, in time at its measured rate, beyond its round trip: long enough for a pull's loop that is late on a busy machine,
    /// short enough that a slow source holds few shards.
    /// </summary>
    public TimeSpan Horizon { get; init; } = TimeSpan.FromMilliseconds(200);

    /// <summary>The same for a publisher while there are other sources: what is asked for far ahead is what another node asks for as well.</summary>
    public TimeSpan SharedHorizon { get; init; } = TimeSpan.FromMilliseconds(50);

    /// <summary>
    /// How much a source on the same host is asked for ahead at the least, as long as its rate is unknown: for a pull from GPU to GPU, which is over before a rate was measured; half of it beside other sources. 0 for what any
    /// other source is asked for.
    /// </summary>
    public long FirstBytesOnHost { get; init; }

    /// <summary>Shards are let in in their order, as long as those let in and not verified have fewer bytes.</summary>
    public long LookAheadBytes { get; init; } = long.MaxValue;

    /// <summary>The same while a source has nothing to do otherwise.</summary>
    public long IdleLookAheadBytes { get; init; }

    /// <summary>Most shards asked of one source at a time; a lane takes <see cref="Wire.WireLimits.MaxOutstandingFetches"/>.</summary>
    public int MaxShardsPerSource { get; init; } = LanesPerSource * 64;
}
