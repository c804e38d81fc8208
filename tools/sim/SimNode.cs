using P2PWeights.Transfer.Swarms;

namespace P2PWeights.Sim;

/// <summary>A node: its card, what it holds, its serving side, and its pull if it pulls.</summary>
internal sealed class SimNode
{
    public SimNode(Simulation simulation, int index, Guid id, int rack, double bytesPerSecond)
    {
        (Index, Id, Rack, Up, Down) = (index, id, rack, new Line(bytesPerSecond), new Line(bytesPerSecond));
        Held = new ShardBitmap(simulation.Options.Shards);
        Server = new SimServer(this, simulation);
    }

    /// <summary>Place in the simulation's list.</summary>
    public int Index { get; }

    public Guid Id { get; }

    public int Rack { get; }

    /// <summary>What it sends through.</summary>
    public Line Up { get; }

    /// <summary>What it receives through.</summary>
    public Line Down { get; }

    /// <summary>Shards that it holds, verified.</summary>
    public ShardBitmap Held { get; }

    public int HeldCount { get; private set; }

    public SimServer Server { get; }

    /// <summary>Its pull; null for a publisher.</summary>
    public SimPuller? Puller { get; set; }

    public bool IsPublisher => Puller is null;

    public bool IsAlive { get; private set; } = true;

    /// <summary>It holds a shard from now on.</summary>
    public void Hold(int ordinal)
    {
        Held[ordinal] = true;
        HeldCount++;
    }

    /// <summary>It dies: all its sessions break.</summary>
    public void Kill()
    {
        IsAlive = false;
        foreach (var link in Server.Subscribers.ToArray())
        {
            link.Break();
        }

        Puller?.End();
    }
}
