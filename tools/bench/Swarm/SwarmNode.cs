using P2PWeights.Bench.Pulling;

namespace P2PWeights.Bench.Swarm;

/// <summary>A node of a <see cref="SwarmCluster"/>.</summary>
internal sealed record SwarmNode(P2pwNode Node)
{
    public string Name => Node.Name;

    /// <summary>Whether it was killed, so that nobody expects anything of it any more.</summary>
    public bool IsDead { get; private set; }

    /// <summary>Ends it as a crash would.</summary>
    public void Kill()
    {
        IsDead = true;
        Node.Process.Kill();
    }
}
