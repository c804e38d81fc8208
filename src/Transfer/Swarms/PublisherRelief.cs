namespace P2PWeights.Transfer.Swarms;

/// <summary>
/// What publishers are spared: what another source holds is asked of that one, unless it is put off or much slower. Part of the <see cref="PullPlanner"/>, which owns the sources.
/// </summary>
/// <param name="sources">The planner's sources.</param>
internal sealed class PublisherRelief(int shards, List<PlannedSource> sources)
{
    /// <summary>
    /// A source slower than this part of the best publisher does not spare that one, once it has kept a shard waiting. A low rate alone says nothing:
    /// one that holds little is asked for little.
    /// </summary>
    private const double SlowPart = 0.25;

    private static readonly TimeSpan SlowAfter = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan SlowFor = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan CoverInterval = TimeSpan.FromMilliseconds(100);

    private readonly ShardBitmap _covered = new(shards);
    private bool _isKnown;
    private TimeSpan _coveredAt;

    /// <summary>Sources went, or turned out to be publishers.</summary>
    public void Changed() => _isKnown = false;

    /// <summary>One that is no publisher holds more.</summary>
    public void Gained(ShardBitmap held) => _covered.Add(held);

    /// <summary>What others hold that can be asked and are not much slower than the publishers. Looked at anew now and then, as rates change.</summary>
    /// <param name="flights">What is on its way.</param>
    public ShardBitmap Covered(FlightBook flights, TimeSpan now)
    {
        if (!_isKnown || now - _coveredAt >= CoverInterval)
        {
            (_isKnown, _coveredAt) = (true, now);
            NoteSlow(flights, now);
            _covered.Clear();
            foreach (var source in sources)
            {
                if (!source.IsPublisher && source.SlowUntil <= now && source.NotBefore <= now)
                {
                    _covered.Add(source.Held);
                }
            }
        }

        return _covered;
    }

    /// <summary>A source that keeps a shard waiting and is much slower than the best publisher counts as slow for a while.</summary>
    private void NoteSlow(FlightBook flights, TimeSpan now)
    {
        var best = 0.0;
        foreach (var source in sources)
        {
            best = source.IsPublisher ? Math.Max(best, source.Rate) : best;
        }

        foreach (var ofShard in flights.ByShard)
        {
            foreach (var flight in ofShard)
            {
                if (now - flight.Since > SlowAfter && flight.Source.Rate < SlowPart * best)
                {
                    flight.Source.SlowUntil = now + SlowFor;
                }
            }
        }
    }
}
