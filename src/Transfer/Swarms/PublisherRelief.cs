namespace P2PWeights.Transfer.Swarms;

/// <summary>
/// What publishers are spared: what another source holds is asked of that one, unless it is put off or much slower. Part of the <see cref="PullPlanner"/>, which owns the sources.
/// </summary>
/// <param name="sources">The planner's sources.</param>
internal sealed class PublisherRelief(int shards, IReadOnlyList<PlannedSource> sources)
{
    /// <summary>
    /// A source slower than this part of the best publisher does not spare that one, once it has kept a shard waiting. A low rate alone says nothing:
    /// one that holds little is asked for little.
    /// </summary>
    private const double SlowPart = 0.25;

    private static readonly TimeSpan SlowAfter = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan SlowFor = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan CoverInterval = TimeSpan.FromMilliseconds(100);

    private ShardBitmap? _covered;
    private TimeSpan _coveredAt;

    /// <summary>Sources went, or turned out to be publishers.</summary>
    public void Changed() => _covered = null;

    /// <summary>One that is no publisher holds more.</summary>
    public void Gained(ShardBitmap held) => _covered?.Add(held);

    /// <summary>What others hold that can be asked and are not much slower than the publishers. Looked at anew now and then, as rates change.</summary>
    /// <param name="flights">What is on its way, by shard.</param>
    public ShardBitmap Covered(IEnumerable<List<Flight>> flights, TimeSpan now)
    {
        if (_covered is null || now - _coveredAt >= CoverInterval)
        {
            var enough = SlowPart * sources.Where(source => source.IsPublisher).Max(source => source.Rate);
            (_covered, _coveredAt) = (new ShardBitmap(shards), now);
            foreach (var flight in flights.SelectMany(flights => flights))
            {
                if (now - flight.Since > SlowAfter && flight.Source.Rate < enough)
                {
                    flight.Source.SlowUntil = now + SlowFor;
                }
            }

            foreach (var other in sources.Where(s => !s.IsPublisher && s.SlowUntil <= now && s.NotBefore <= now))
            {
                _covered.Add(other.Held);
            }
        }

        return _covered;
    }
}
