using P2PWeights.Transfer.Swarms;

namespace P2PWeights.Sim;

/// <summary>A shard that a puller asked a server for.</summary>
internal sealed class SimRequest(SimLink link, Assignment assignment, long reachesAt)
{
    public SimLink Link => link;

    public Assignment Assignment => assignment;

    public int Ordinal => assignment.Ordinal;

    /// <summary>When the server has read it.</summary>
    public long ReachesAt => reachesAt;

    /// <summary>The planner was told that it failed: one that has not begun is not served, the bytes of one that has come for nothing.</summary>
    public bool IsGivenUp { get; set; }
}
