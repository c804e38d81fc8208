namespace P2PWeights.Tracker.Swarms;

/// <summary>A peer in a swarm. Part of <see cref="SwarmState"/> and under its lock.</summary>
internal sealed class Member(TrackedState peer, Swarm swarm, int index)
{
    public TrackedState Peer { get; } = peer;

    public Swarm Swarm { get; } = swarm;

    /// <summary>Place in the swarm's list.</summary>
    public int Index { get; set; } = index;

    /// <summary>Shards of the manifest that the peer holds.</summary>
    public int Held { get; set; }

    /// <summary>The pull that its last sync told of; null when it does not pull.</summary>
    public PullSeen? Pull { get; set; }

    /// <summary>Whom it was told to talk to; null before it pulls.</summary>
    public NeighbourSet? Neighbours { get; set; }

    /// <summary>When it was last told which shards are scarce, as a timestamp; null for never.</summary>
    public long? ToldScarce { get; set; }
}

/// <summary>How far a pull is.</summary>
/// <param name="Pull">As it was told last.</param>
/// <param name="MeasuredBytes">Bytes done when the rate was measured, from which the next rate counts.</param>
/// <param name="MeasuredAt">When that was, as a timestamp.</param>
/// <param name="BytesPerSecond">As measured then; 0 before the first time.</param>
internal sealed record PullSeen(SwarmPull Pull, long MeasuredBytes, long MeasuredAt, long BytesPerSecond);

/// <summary>The peers that one member should talk to.</summary>
/// <param name="Number">Unique in the life of the tracker; never 0.</param>
/// <param name="ChosenAt">As a timestamp.</param>
/// <param name="Entered"><see cref="Swarm.Entered"/> then.</param>
internal sealed record NeighbourSet(long Number, long ChosenAt, long Entered, IReadOnlyList<TrackedState> Peers);
