namespace P2PWeights.Transfer.Swarms;

/// <summary>
/// Decides which of a pull's last shards is asked for a second time, of an idle source, and keeps what that may waste within bounds. Pure, like the
/// <see cref="PullPlanner"/> that owns it.
/// A second fetch pays when the idle source would bring the shard in less than half of the time that the first still needs, and well before it. What it costs are the
/// loser's bytes: so what may be lost by the running ones, and what was lost before, stays below a twentieth of the pull, or one shard.
/// </summary>
/// <param name="pullBytes">Bytes that the pull wants.</param>
/// <param name="largestShard">Bytes of its largest shard.</param>
internal sealed class HedgePlanner(long pullBytes, int largestShard)
{
    private const double WastePart = 0.05;
    private const double TimesFaster = 2;

    /// <summary>A gain that the eye does not see is not worth bytes, and within the noise of a busy machine.</summary>
    private static readonly TimeSpan LeastGain = TimeSpan.FromMilliseconds(200);

    /// <summary>What a source would need whose rate nobody knows, in a pull where none is known.</summary>
    private static readonly TimeSpan UnknownTime = TimeSpan.FromMilliseconds(500);

    private readonly double _budget = Math.Max(largestShard, WastePart * pullBytes);
    private readonly HashSet<int> _running = [];
    private long _runningBytes;
    private double _wasted;

    /// <summary>Bytes that hedges have cost so far, estimated from the losers' rates.</summary>
    public double WastedBytes => _wasted;

    /// <summary>The flight whose shard should be asked for again now and of whom, the largest gain first.</summary>
    /// <param name="alone">Flights that are the only one of their shard.</param>
    /// <param name="idle">Sources that may be asked and have nothing to send.</param>
    /// <param name="bestRate">The highest rate of any source, for those whose own is unknown; 0 when none is known.</param>
    public (Flight Slow, PlannedSource Second)? Choose(List<Flight> alone, List<PlannedSource> idle, double bestRate, TimeSpan now)
    {
        (Flight, PlannedSource)? best = null;
        var bestGain = LeastGain;
        foreach (var flight in alone)
        {
            if (_wasted + _runningBytes + flight.Size > _budget)
            {
                continue;
            }

            var remaining = flight.Remaining(now);
            foreach (var source in idle)
            {
                var time = TimeFor(source, flight.Size, bestRate);
                if (source != flight.Source && source.Held[flight.Ordinal] && remaining >= TimesFaster * time && remaining - time >= bestGain)
                {
                    best = (flight, source);
                    bestGain = remaining - time;
                }
            }
        }

        return best;
    }

    /// <summary>A shard was asked for again.</summary>
    public void Begun(Flight slow)
    {
        _running.Add(slow.Ordinal);
        _runningBytes += slow.Size;
    }

    /// <summary>A fetch has ended that did not bring the shard: it failed, or lost. Of a shard that was asked for once, that changes nothing.</summary>
    /// <param name="isHere">Whether another fetch brought the shard.</param>
    /// <param name="wasReceived">Whether all its bytes had come.</param>
    public void Ended(Flight flight, bool isHere, bool wasReceived, TimeSpan now)
    {
        if (!_running.Remove(flight.Ordinal))
        {
            return;
        }

        _runningBytes -= flight.Size;
        if (isHere)
        {
            var sent = flight.Source.Rate * (now - flight.Since).TotalSeconds / Math.Max(1, flight.Source.Outstanding);
            _wasted += wasReceived ? flight.Size : Math.Min(flight.Size, sent);
        }
    }

    private static TimeSpan TimeFor(PlannedSource source, int bytes, double bestRate)
    {
        var rate = source.Rate > 0 ? source.Rate : bestRate;
        return rate > 0 ? source.RoundTrip + TimeSpan.FromSeconds(bytes / rate) : UnknownTime;
    }
}
