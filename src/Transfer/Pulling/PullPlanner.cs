using System.Collections.Immutable;
using P2PWeights.Store.Content;
using P2PWeights.Transfer.Swarms;

namespace P2PWeights.Transfer.Pulling;

/// <summary>A decision: ask this source for this shard.</summary>
/// <param name="Hedge">The shard is on its way from another source already, which is slow.</param>
internal readonly record struct Assignment(PlannedSource Source, int Ordinal, bool Hedge);

/// <summary>
/// Decides which shard is asked of which source next. Pure: told what happened and what time it is, does no IO, owns no clock, takes its randomness from
/// outside; the pull carries its decisions out. Not thread-safe; one loop owns it.
/// Rules: one source per shard; the rarest shard first, at random among equals; the least loaded source first; at most a window of bytes over all sources and
/// a time's worth of bytes per source; when nothing is left to ask for, a slow last shard is asked of a second source.
/// Complete sources are spared, so that a publisher sends each shard about once however many nodes pull: of what only they hold, this node asks first for its
/// own share (<see cref="ShardShares"/>), and what another puller holds is asked of that one, unless it is put off or much slower.
/// </summary>
internal sealed class PullPlanner
{
    /// <summary>
    /// A puller slower than this part of the best complete source does not spare that one, once it has kept a shard waiting. A low rate alone says nothing:
    /// a puller that holds little is asked for little.
    /// </summary>
    private const double SlowPart = 0.25;

    private static readonly TimeSpan SlowAfter = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan SlowFor = TimeSpan.FromSeconds(5);

    private static readonly TimeSpan CoverInterval = TimeSpan.FromMilliseconds(100);

    private readonly Guid _self;
    private readonly ImmutableArray<ShardInfo> _shards;
    private readonly PlannerOptions _options;
    private readonly RarityIndex _missing;
    private readonly List<PlannedSource> _sources = [];
    private readonly int[] _holders;
    private readonly Dictionary<int, List<(PlannedSource Source, TimeSpan Since)>> _fetching = [];
    private readonly HashSet<int> _open;
    private readonly int _largestShard;
    private long _windowUsed;
    private int _pullers;
    private ShardBitmap? _share;
    private ShardBitmap? _covered;
    private TimeSpan _coveredAt;

    /// <param name="self">This node's id, which decides its share.</param>
    /// <param name="shards">The manifest's shard table.</param>
    /// <param name="wanted">Ordinals to fetch; all count as missing at first.</param>
    public PullPlanner(Guid self, ImmutableArray<ShardInfo> shards, IEnumerable<int> wanted, PlannerOptions options, Random random)
    {
        _self = self;
        _shards = shards;
        _options = options;
        _missing = new RarityIndex(shards.Length, random);
        _holders = new int[shards.Length];
        _open = [.. wanted];
        foreach (var ordinal in _open)
        {
            _missing.Add(ordinal, 0);
            _largestShard = Math.Max(_largestShard, shards[ordinal].Size);
        }
    }

    /// <summary>Shards not verified yet.</summary>
    public int Left => _open.Count;

    /// <summary>Shards that are neither verified nor on their way.</summary>
    public int Missing => _missing.Count;

    /// <summary>Shards on their way.</summary>
    public int Fetching => _fetching.Count;

    /// <summary>Whether the window over all sources has no room for another shard.</summary>
    public bool IsWindowFull => _windowUsed > 0 && _windowUsed + _largestShard > _options.WindowBytes;

    /// <summary>Shards not verified yet.</summary>
    public IReadOnlyCollection<int> Open => _open;

    public PlannedSource AddSource(Guid peer)
    {
        var source = new PlannedSource(peer, _shards.Length);
        _sources.Add(source);
        PullersChanged();
        return source;
    }

    /// <summary>The source is gone. Its fetches end on their own, each with <see cref="Failed"/>.</summary>
    public void RemoveSource(PlannedSource source)
    {
        SetHeld(source, new ShardBitmap(_shards.Length));
        _sources.Remove(source);
        PullersChanged();
    }

    /// <summary>The source told what it holds now.</summary>
    public void SetHeld(PlannedSource source, ShardBitmap held)
    {
        held.VisitChanges(source.Held, (ordinal, gained) =>
        {
            if (_missing.Contains(ordinal))
            {
                source.Useful += gained ? 1 : -1;
            }
        });
        var isComplete = held.Count() == _shards.Length;
        var before = source.IsComplete ? new ShardBitmap(_shards.Length) : source.Held;
        (isComplete ? new ShardBitmap(_shards.Length) : held).VisitChanges(before, (ordinal, gained) => SetRarity(ordinal, _holders[ordinal] + (gained ? 1 : -1)));
        source.Held = held;
        if (source.IsComplete != isComplete)
        {
            source.IsComplete = isComplete;
            PullersChanged();
        }
        else if (!isComplete)
        {
            _covered?.Add(held);
        }
    }

    /// <summary>The next decision, or null when nothing can be asked for now. A decision counts as carried out until <see cref="Failed"/> or <see cref="Done(Assignment)"/>.</summary>
    public Assignment? Next(TimeSpan now)
    {
        if (_windowUsed >= _options.WindowBytes)
        {
            return null;
        }

        foreach (var source in _sources.Where(s => s.Useful > 0 && CanAsk(s, now) && Load(s) < 1).OrderBy(s => s.IsComplete).ThenBy(Load))
        {
            if (Choose(source, now) is var ordinal and >= 0 && Fits(source, ordinal))
            {
                Take(ordinal);
                return Begin(source, ordinal, hedge: false, now);
            }
        }

        return _missing.Count == 0 ? Hedge(now) : null;
    }

    /// <summary>The shard is not to be asked for, for now: somebody else brings it, or it is copied from the store.</summary>
    public void SetAside(int ordinal) => Take(ordinal);

    /// <summary>A shard that was set aside is to be asked for after all.</summary>
    public void PutBack(int ordinal)
    {
        if (_open.Contains(ordinal) && !_missing.Contains(ordinal) && !_fetching.ContainsKey(ordinal))
        {
            _missing.Add(ordinal, _holders[ordinal]);
            foreach (var source in _sources.Where(s => s.Held[ordinal]))
            {
                source.Useful++;
            }
        }
    }

    /// <summary>The shard's bytes are here, not verified yet: the source can be asked for more.</summary>
    public void Received(Assignment fetch)
    {
        fetch.Source.FailuresInRow = 0;
        Release(fetch.Source, fetch.Ordinal);
    }

    /// <summary>The fetch ended without a verified shard; what is nobody else's is missing again.</summary>
    /// <param name="wasReceived">Whether <see cref="Received"/> was told before.</param>
    public void Failed(Assignment fetch, bool wasReceived)
    {
        End(fetch, wasReceived);
        PutBack(fetch.Ordinal);
    }

    /// <summary>The fetch ended with a verified shard.</summary>
    public void Done(Assignment fetch)
    {
        End(fetch, wasReceived: true);
        Done(fetch.Ordinal);
    }

    /// <summary>A verified shard is here, fetched or not.</summary>
    public void Done(int ordinal)
    {
        Take(ordinal);
        _open.Remove(ordinal);
    }

    /// <summary>What to ask this source for, or -1.</summary>
    private int Choose(PlannedSource source, TimeSpan now)
    {
        // Rarity counts the pullers that hold a shard: at 0 stands what complete sources alone hold.
        var ordinal = -1;
        if (source.IsComplete)
        {
            ordinal = _missing.Pick(0, source.Held, alsoIn: Share());

            // The share of others is theirs to ask for; a lane that would idle takes some of it all the same.
            if (ordinal < 0 && (_pullers == 0 || source.Outstanding < 2 * _options.LanesPerSource))
            {
                ordinal = _missing.Pick(0, source.Held);
            }
        }

        var covered = source.IsComplete && ordinal < 0 ? Covered(now) : null;
        for (var rarity = 1; ordinal < 0 && rarity < _missing.Levels; rarity++)
        {
            ordinal = _missing.Pick(rarity, source.Held, notIn: covered);
        }

        return ordinal;
    }

    private void PullersChanged()
    {
        _pullers = _sources.Count(source => !source.IsComplete);
        (_share, _covered) = (null, null);
    }

    private ShardBitmap Share() =>
        _share ??= ShardShares.Of(_self, [.. _sources.Where(source => !source.IsComplete).Select(source => source.Peer)], _shards.Length);

    /// <summary>What pullers hold that can be asked and are not much slower than the complete sources. Looked at anew now and then, as rates change.</summary>
    private ShardBitmap Covered(TimeSpan now)
    {
        if (_covered is null || now - _coveredAt >= CoverInterval)
        {
            var enough = SlowPart * _sources.Where(source => source.IsComplete).Max(source => source.Rate);
            (_covered, _coveredAt) = (new ShardBitmap(_shards.Length), now);
            foreach (var (source, since) in _fetching.Values.SelectMany(fetches => fetches))
            {
                if (now - since > SlowAfter && source.Rate < enough)
                {
                    source.SlowUntil = now + SlowFor;
                }
            }

            foreach (var puller in _sources.Where(s => !s.IsComplete && s.SlowUntil <= now && CanAsk(s, now)))
            {
                _covered.Add(puller.Held);
            }
        }

        return _covered;
    }

    private void SetRarity(int ordinal, int holders)
    {
        _holders[ordinal] = holders;
        if (_missing.Contains(ordinal))
        {
            _missing.Remove(ordinal);
            _missing.Add(ordinal, holders);
        }
    }

    private bool CanAsk(PlannedSource source, TimeSpan now) => source.NotBefore <= now && source.Outstanding < _options.MaxShardsPerSource;

    /// <summary>How full a source's window is.</summary>
    private double Load(PlannedSource source) => source.OutstandingBytes / Window(source);

    /// <summary>What may be asked of a source ahead: a time's worth at its rate, and never less than keeps its lanes busy.</summary>
    private double Window(PlannedSource source)
    {
        var lanes = (double)_options.LanesPerSource * _largestShard;
        if (source.IsComplete && _pullers > 0)
        {
            return Math.Max(lanes, source.Rate * _options.SharedHorizon.TotalSeconds);
        }

        return source.Rate == 0 ? 2 * lanes : Math.Max(lanes, source.Rate * _options.Horizon.TotalSeconds);
    }

    /// <summary>Within both windows; a window that is empty takes a shard of any size.</summary>
    private bool Fits(PlannedSource source, int ordinal)
    {
        var size = _shards[ordinal].Size;
        return (source.Outstanding == 0 || source.OutstandingBytes + size <= Window(source))
            && (_windowUsed == 0 || _windowUsed + size <= _options.WindowBytes);
    }

    private Assignment? Hedge(TimeSpan now)
    {
        foreach (var (ordinal, fetches) in _fetching)
        {
            if (fetches is not [var only] || now - only.Since < _options.HedgeAfter)
            {
                continue;
            }

            var second = _sources.Find(s => s != only.Source && s.Outstanding == 0 && s.Held[ordinal] && CanAsk(s, now)
                && (s.Rate == 0 || (now - only.Since).TotalSeconds > 2 * _shards[ordinal].Size / s.Rate));
            if (second is not null && Fits(second, ordinal))
            {
                return Begin(second, ordinal, hedge: true, now);
            }
        }

        return null;
    }

    private Assignment Begin(PlannedSource source, int ordinal, bool hedge, TimeSpan now)
    {
        if (!_fetching.TryGetValue(ordinal, out var fetches))
        {
            _fetching[ordinal] = fetches = [];
        }

        fetches.Add((source, now));
        source.Outstanding++;
        source.OutstandingBytes += _shards[ordinal].Size;
        _windowUsed += _shards[ordinal].Size;
        return new Assignment(source, ordinal, hedge);
    }

    private void End(Assignment fetch, bool wasReceived)
    {
        if (!wasReceived)
        {
            Release(fetch.Source, fetch.Ordinal);
        }

        _windowUsed -= _shards[fetch.Ordinal].Size;
        var fetches = _fetching[fetch.Ordinal];
        fetches.RemoveAt(fetches.FindIndex(f => f.Source == fetch.Source));
        if (fetches.Count == 0)
        {
            _fetching.Remove(fetch.Ordinal);
        }
    }

    private void Release(PlannedSource source, int ordinal)
    {
        source.Outstanding--;
        source.OutstandingBytes -= _shards[ordinal].Size;
    }

    /// <summary>Takes a shard out of the missing ones, if it is there.</summary>
    private void Take(int ordinal)
    {
        if (!_missing.Contains(ordinal))
        {
            return;
        }

        _missing.Remove(ordinal);
        foreach (var source in _sources.Where(s => s.Held[ordinal]))
        {
            source.Useful--;
        }
    }
}
