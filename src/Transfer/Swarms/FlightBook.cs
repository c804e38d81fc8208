namespace P2PWeights.Transfer.Swarms;

/// <summary>What of a pull is on its way: one flight a shard, and a second one where the first is slow. Part of the <see cref="PullPlanner"/>; allocates nothing once it has seen its most.</summary>
internal sealed class FlightBook
{
    private readonly Dictionary<int, List<Flight>> _flights = [];
    private readonly Stack<List<Flight>> _spare = new();

    /// <summary>Shards on their way.</summary>
    public int Shards => _flights.Count;

    /// <summary>Bytes asked for and not verified yet; a shard that was asked for twice counts twice.</summary>
    public long Bytes { get; private set; }

    /// <summary>The flights of each shard.</summary>
    public Dictionary<int, List<Flight>>.ValueCollection ByShard => _flights.Values;

    public bool Has(int ordinal) => _flights.ContainsKey(ordinal);

    public void Begin(Flight flight)
    {
        if (!_flights.TryGetValue(flight.Ordinal, out var ofShard))
        {
            _flights[flight.Ordinal] = ofShard = _spare.TryPop(out var spare) ? spare : [];
        }

        ofShard.Add(flight);
        Bytes += flight.Size;
    }

    /// <summary>The shard's bytes have come from the source.</summary>
    public void Received(PlannedSource source, int ordinal)
    {
        var ofShard = _flights[ordinal];
        var index = IndexOf(ofShard, source);
        ofShard[index] = ofShard[index] with { IsReceived = true };
    }

    /// <summary>Takes out the flight of a shard from a source.</summary>
    public Flight End(PlannedSource source, int ordinal)
    {
        var ofShard = _flights[ordinal];
        var index = IndexOf(ofShard, source);
        var flight = ofShard[index];
        ofShard.RemoveAt(index);
        if (ofShard.Count == 0)
        {
            _flights.Remove(ordinal);
            _spare.Push(ofShard);
        }

        Bytes -= flight.Size;
        return flight;
    }

    private static int IndexOf(List<Flight> flights, PlannedSource source)
    {
        for (var i = 0; i < flights.Count; i++)
        {
            if (flights[i].Source == source)
            {
                return i;
            }
        }

        throw new InvalidOperationException($"no shard is on its way from {source.Peer} that ended");
    }
}
