using P2PWeights.Transfer.Swarms;

namespace P2PWeights.Transfer.Pulling;

/// <summary>
/// What complete sources are spared, so that a publisher sends each shard about once however many nodes pull: of what only they hold, this node asks first for its
/// own share (<see cref="ShardShares"/>), and what another puller holds is asked of that one, unless it is put off or much slower. Part of the
/// <see cref="PullPlanner"/>, which owns the sources.
/// </summary>
/// <param name="self">This node's id, which decides its share.</param>
/// <param name="sources">The planner's sources.</param>
/// <param name="canAsk">Whether a source may be asked at a time.</param>
internal sealed class PublisherRelief(Guid self, int shards, IReadOnlyList<PlannedSource> sources, Func<PlannedSource, TimeSpan, bool> canAsk)
{
    /// <summary>
    /// A puller slower than this part of the best complete source does not spare that one, once it has kept a shard waiting. A low rate alone says nothing:
    /// a puller that holds little is asked for little.
    /// </summary>
    private const double SlowPart = 0.25;

    private static readonly TimeSpan SlowAfter = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan SlowFor = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan CoverInterval = TimeSpan.FromMilliseconds(100);

    private ShardBitmap? _share;
    private ShardBitmap? _covered;
    private TimeSpan _coveredAt;

    /// <summary>Sources that are not complete: other nodes that pull.</summary>
    public int Pullers { get; private set; }

    /// <summary>This node's share of the shards.</summary>
    public ShardBitmap Share =>
        _share ??= ShardShares.Of(self, [.. sources.Where(source => !source.IsComplete).Select(source => source.Peer)], shards);

    /// <summary>Sources came, went, or became complete.</summary>
    public void Changed()
    {
        Pullers = sources.Count(source => !source.IsComplete);
        (_share, _covered) = (null, null);
    }

    /// <summary>A puller holds more.</summary>
    public void Gained(ShardBitmap held) => _covered?.Add(held);

    /// <summary>What pullers hold that can be asked and are not much slower than the complete sources. Looked at anew now and then, as rates change.</summary>
    /// <param name="flights">What is on its way.</param>
    public ShardBitmap Covered(IEnumerable<Flight> flights, TimeSpan now)
    {
        if (_covered is null || now - _coveredAt >= CoverInterval)
        {
            var enough = SlowPart * sources.Where(source => source.IsComplete).Max(source => source.Rate);
            (_covered, _coveredAt) = (new ShardBitmap(shards), now);
            foreach (var flight in flights)
            {
                if (now - flight.Since > SlowAfter && flight.Source.Rate < enough)
                {
                    flight.Source.SlowUntil = now + SlowFor;
                }
            }

            foreach (var puller in sources.Where(s => !s.IsComplete && s.SlowUntil <= now && canAsk(s, now)))
            {
                _covered.Add(puller.Held);
            }
        }

        return _covered;
    }
}
