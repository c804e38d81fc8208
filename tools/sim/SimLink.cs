using P2PWeights.Transfer.Swarms;

namespace P2PWeights.Sim;

/// <summary>A puller's session with a server: what its planner knows of it, and the lanes between them.</summary>
internal sealed class SimLink
{
    private long _counted;

    public SimLink(SimNode consumer, SimNode server, PlannedSource planned, Simulation simulation)
    {
        (Consumer, Server, Planned) = (consumer, server, planned);
        Lanes = [.. Enumerable.Range(0, Simulation.LanesPerPeer).Select(_ => new SimLane(this, simulation))];
        IsAcrossRacks = consumer.Rack != server.Rack;
    }

    public SimNode Consumer { get; }

    public SimNode Server { get; }

    public PlannedSource Planned { get; }

    public SimLane[] Lanes { get; }

    public bool IsAcrossRacks { get; }

    public bool IsUp { get; private set; } = true;

    /// <summary>What the server reveals over it; null when the server is no publisher.</summary>
    public RevealedTo? Revealed { get; set; }

    /// <summary>Bytes that came over it.</summary>
    public long Received { get; set; }

    /// <summary>Bytes that came since the last call.</summary>
    public long TakeReceived()
    {
        var since = Received - _counted;
        _counted = Received;
        return since;
    }

    /// <summary>Asks for a shard by the lane with the least to do.</summary>
    public void Ask(SimRequest request)
    {
        var least = Lanes[0];
        foreach (var lane in Lanes)
        {
            if (lane.Depth < least.Depth)
            {
                least = lane;
            }
        }

        least.Ask(request);
    }

    /// <summary>The session ends, as when either side is killed or the pull is over.</summary>
    public void Break()
    {
        if (!IsUp)
        {
            return;
        }

        IsUp = false;
        foreach (var lane in Lanes)
        {
            lane.Break();
        }

        Server.Server.Left(this);
        Consumer.Puller!.Lost(this);
    }
}
