namespace P2PWeights.Sim;

/// <summary>What lies between the nodes' cards: the uplinks of the racks, both ways.</summary>
internal sealed class SimNetwork
{
    private readonly Line[] _out = [];
    private readonly Line[] _in = [];

    /// <param name="nodesPerRack">Nodes in the fullest rack.</param>
    public SimNetwork(SimOptions options, int nodesPerRack)
    {
        if (options.Racks > 1)
        {
            UplinkBytesPerSecond = nodesPerRack * options.BytesPerSecond / options.Oversubscription;
            _out = [.. Enumerable.Range(0, options.Racks).Select(_ => new Line(UplinkBytesPerSecond))];
            _in = [.. Enumerable.Range(0, options.Racks).Select(_ => new Line(UplinkBytesPerSecond))];
        }
    }

    /// <summary>Rate of a rack's uplink in each direction; 0 in a flat network.</summary>
    public double UplinkBytesPerSecond { get; }

    /// <summary>Bytes that left a rack.</summary>
    public long BytesAcrossRacks => _out.Sum(line => line.Bytes);

    /// <summary>When bytes that leave the sender's card at a time reach the receiver's.</summary>
    public long Cross(SimLink link, long at, int bytes) =>
        link.IsAcrossRacks ? _in[link.Consumer.Rack].Pass(_out[link.Server.Rack].Pass(at, bytes), bytes) : at;
}
