using System.Collections.Immutable;
using System.Numerics;
using P2PWeights.Store.Content;

namespace P2PWeights.Transfer.Swarms;

/// <summary>A decision: ask this source for this shard.</summary>
/// <param name="Hedge">The shard is on its way from another source already, which is slow.</param>
internal readonly record struct Assignment(PlannedSource Source, int Ordinal, bool Hedge);

/// <summary>
/// Decides which shard is asked of which source next. Pure: told what happened and what time it is, does no IO, owns no clock, takes its randomness from
/// outside; the pull carries its decisions out. A decision allocates nothing. Not thread-safe; one loop owns it.
/// Rules: one source per shard; the rarest shard first, at random among equals; near sources before far ones, then the least loaded first; at most a window of bytes over all sources and
/// a time's worth of bytes per source; publishers are asked first for what only they hold and spared where others can do (<see cref="PublisherRelief"/>); when nothing
/// is left to ask for, a slow last shard is asked of a second source (<see cref="HedgePlanner"/>).
/// </summary>
internal sealed class PullPlanner
{
    private readonly ImmutableArray<ShardInfo> _shards;
    private readonly PlannerOptions _options;
    private readonly RarityIndex _missing;
    private readonly List<PlannedSource> _sources = [];
    private readonly int[] _holders;

    /// <summary>What one decision looks at, kept so that none allocates.</summary>
    private readonly List<PlannedSource> _others = [];
    private readonly List<PlannedSource> _publishers = [];
    private readonly List<Flight> _alone = [];
    private readonly Random _random;
    private readonly FlightBook _flights = new();
    private readonly ShardBitmap _open;
    private readonly LookAhead _lookAhead;
    private readonly PublisherRelief _relief;
    private readonly HedgePlanner _hedges;
    private readonly int _largestShard;
    private TimeSpan _now;

    /// <param name="shards">The manifest's shard table.</param>
    /// <param name="wanted">Ordinals to fetch; all count as missing at first.</param>
    public PullPlanner(ImmutableArray<ShardInfo> shards, IEnumerable<int> wanted, PlannerOptions options, Random random)
    {
        _shards = shards;
        _options = options;
        _random = random;
        _missing = new RarityIndex(shards.Length, random);
        _holders = new int[shards.Length];
        _open = new ShardBitmap(shards.Length);
        _lookAhead = new LookAhead(shards);
        foreach (var ordinal in wanted)
        {
            if (_open[ordinal])
            {
                continue;
            }

            _open[ordinal] = true;
            _lookAhead.Add(ordinal);
            Left++;
            _largestShard = Math.Max(_largestShard, shards[ordinal].Size);
            WantedBytes += shards[ordinal].Size;
        }

        _relief = new PublisherRelief(shards.Length, _sources);
        _hedges = new HedgePlanner(WantedBytes, _largestShard);
        Admit();
    }

    /// <summary>Bytes of all shards that were missing at first.</summary>
    public long WantedBytes { get; }

    /// <summary>Shards not verified yet.</summary>
    public int Left { get; private set; }

    /// <summary>Shards that may be asked for, and are neither verified nor on their way.</summary>
    public int Missing => _missing.Count;

    /// <summary>Shards on their way.</summary>
    public int Fetching => _flights.Shards;

    /// <summary>Whether the window over all sources has no room for another shard.</summary>
    public bool IsWindowFull => _flights.Bytes > 0 && _flights.Bytes + _largestShard > _options.WindowBytes;

    /// <summary>Shards not verified yet, in order.</summary>
    public IEnumerable<int> Open
    {
        get
        {
            for (var ordinal = 0; ordinal < _shards.Length; ordinal++)
            {
                if (_open[ordinal])
                {
                    yield return ordinal;
                }
            }
        }
    }

    /// <summary>Whether the shard is wanted and not verified yet.</summary>
    public bool IsOpen(int ordinal) => _open[ordinal];

    /// <param name="nearness">How near the peer is, of <see cref="Nearness"/>.</param>
    public PlannedSource AddSource(Guid peer, int nearness = Nearness.Elsewhere)
    {
        var source = new PlannedSource(peer, _shards.Length, nearness);
        _sources.Add(source);
        return source;
    }

    /// <summary>The source is gone. Its fetches end on their own, each with <see cref="Failed"/>.</summary>
    public void RemoveSource(PlannedSource source)
    {
        SetHeld(source, new ShardBitmap(_shards.Length), source.IsPublisher);
        _sources.Remove(source);
        _relief.Changed();
    }

    /// <summary>The source told what it holds now.</summary>
    /// <param name="isPublisher">Whether it published the manifest: asked only for what nobody else brings, and not counted as a holder.</param>
    public void SetHeld(PlannedSource source, ShardBitmap held, bool isPublisher)
    {
        if (source.IsPublisher != isPublisher)
        {
            SetHeld(source, new ShardBitmap(_shards.Length), source.IsPublisher);
            source.IsPublisher = isPublisher;
            _relief.Changed();
        }

        var words = held.Words;
        var before = source.Held.Words;
        for (var w = 0; w < words.Length; w++)
        {
            for (var changed = words[w] ^ before[w]; changed != 0; changed &= changed - 1)
            {
                var bit = BitOperations.TrailingZeroCount(changed);
                SetHeld(source, (w * ShardBitmap.WordBits) + bit, (words[w] >> bit & 1) != 0);
            }
        }

        source.Held = held;
        if (!isPublisher)
        {
            _relief.Gained(held);
        }
    }

    /// <summary>The next decision, or null when nothing can be asked for now. A decision counts as carried out until <see cref="Failed"/> or <see cref="Done(Assignment)"/>.</summary>
    public Assignment? Next(TimeSpan now)
    {
        _now = now;
        if (_flights.Bytes >= _options.WindowBytes)
        {
            return null;
        }

        while (true)
        {
            if (Decide(now) is { } decision)
            {
                return decision;
            }

            if (_lookAhead.IsOver || !HasIdleSource(now) || _lookAhead.Next(_options.IdleLookAheadBytes) is not (>= 0 and var further))
            {
                return _missing.Count == 0 && _lookAhead.IsOver ? Hedge(now) : null;
            }

            PutBack(further);
        }
    }

    /// <summary>The shard is not to be asked for, for now: somebody else brings it, or it is copied from the store.</summary>
    public void SetAside(int ordinal)
    {
        _lookAhead.LetIn(ordinal);
        Take(ordinal);
    }

    /// <summary>A shard that was set aside is to be asked for after all.</summary>
    public void PutBack(int ordinal)
    {
        if (_open[ordinal] && !_missing.Contains(ordinal) && !_flights.Has(ordinal))
        {
            _missing.Add(ordinal, _holders[ordinal]);
            foreach (var source in _sources)
            {
                source.Useful += source.Held[ordinal] ? 1 : 0;
            }
        }
    }

    /// <summary>The shard's bytes are here, not verified yet: the source can be asked for more.</summary>
    public void Received(Assignment fetch)
    {
        fetch.Source.FailuresInRow = 0;
        fetch.Source.Release(_shards[fetch.Ordinal].Size);
        _flights.Received(fetch.Source, fetch.Ordinal);
    }

    /// <summary>The fetch ended without a verified shard; what is nobody else's is missing again.</summary>
    /// <param name="wasReceived">Whether <see cref="Received"/> was told before.</param>
    public void Failed(Assignment fetch, bool wasReceived)
    {
        End(fetch, wasReceived, isVerified: false);
        PutBack(fetch.Ordinal);
    }

    /// <summary>The fetch ended with a verified shard.</summary>
    public void Done(Assignment fetch)
    {
        End(fetch, wasReceived: true, isVerified: true);
        Done(fetch.Ordinal);
    }

    /// <summary>A verified shard is here, fetched or not.</summary>
    public void Done(int ordinal)
    {
        Take(ordinal);
        if (_open[ordinal])
        {
            _open[ordinal] = false;
            Left--;
            _lookAhead.Done(ordinal);
            Admit();
        }
    }

    /// <summary>The best decision about the shards that are let in.</summary>
    private Assignment? Decide(TimeSpan now)
    {
        _others.Clear();
        _publishers.Clear();
        foreach (var source in _sources)
        {
            if (source.Useful > 0 && CanAsk(source, now) && Load(source) < 1)
            {
                (source.IsPublisher ? _publishers : _others).Add(source);
            }
        }

        // What only publishers hold comes first: others wait until it is passed on. What others hold is asked of publishers last.
        return Next(_publishers, Part.OnlyPublishers, now)
            ?? Next(_others, Part.Others, now)
            ?? Next(_publishers, Part.Uncovered, now);
    }

    /// <summary>Whether a source could be asked for one of the shards that are not let in yet.</summary>
    private bool HasIdleSource(TimeSpan now)
    {
        foreach (var source in _sources)
        {
            if (CanAsk(source, now) && Fits(source, _largestShard) && _lookAhead.HasLater(source.Held, source.IsPublisher ? _relief.Covered(_flights, now) : null))
            {
                return true;
            }
        }

        return false;
    }

    private void Admit()
    {
        while (_lookAhead.Next(_options.LookAheadBytes) is var next and >= 0)
        {
            PutBack(next);
        }
    }

    /// <summary>The best decision about one part of the shards: near sources first, then the least loaded, at random among equals.</summary>
    private Assignment? Next(List<PlannedSource> candidates, Part part, TimeSpan now)
    {
        for (var left = candidates.Count; left > 0; left--)
        {
            var best = Least(candidates, left);
            var source = candidates[best];
            if (Choose(source, part, now) is var ordinal and >= 0 && Fits(source, _shards[ordinal].Size))
            {
                Take(ordinal);
                return Begin(source, ordinal, hedge: false, now);
            }

            (candidates[best], candidates[left - 1]) = (candidates[left - 1], source);
        }

        return null;
    }

    /// <summary>The place of the nearest of the first candidates, and of the least loaded among equally near ones.</summary>
    private int Least(List<PlannedSource> candidates, int count)
    {
        var start = _random.Next(count);
        var (best, nearest, least) = (start, candidates[start].Nearness, Load(candidates[start]));
        for (var i = 1; i < count; i++)
        {
            var index = start + i < count ? start + i : start + i - count;
            var source = candidates[index];
            if (source.Nearness < nearest)
            {
                continue;
            }

            var load = Load(source);
            if (source.Nearness > nearest || load < least)
            {
                (best, nearest, least) = (index, source.Nearness, load);
            }
        }

        return best;
    }

    /// <summary>What to ask this source for, or -1. Rarity counts the holders that are no publishers.</summary>
    private int Choose(PlannedSource source, Part part, TimeSpan now)
    {
        if (part == Part.OnlyPublishers)
        {
            return _missing.Pick(0, source.Held);
        }

        var covered = part == Part.Uncovered ? _relief.Covered(_flights, now) : null;
        for (var rarity = 1; rarity < _missing.Levels; rarity++)
        {
            if (_missing.Pick(rarity, source.Held, notIn: covered) is var ordinal and >= 0)
            {
                return ordinal;
            }
        }

        return -1;
    }

    /// <summary>The source holds a shard now that it did not, or the other way round.</summary>
    private void SetHeld(PlannedSource source, int ordinal, bool isHeld)
    {
        var isMissing = _missing.Contains(ordinal);
        source.Useful += !isMissing ? 0 : isHeld ? 1 : -1;
        if (!source.IsPublisher)
        {
            _holders[ordinal] += isHeld ? 1 : -1;
            if (isMissing)
            {
                _missing.Remove(ordinal);
                _missing.Add(ordinal, _holders[ordinal]);
            }
        }
    }

    private bool CanAsk(PlannedSource source, TimeSpan now) => source.NotBefore <= now && source.Outstanding < _options.MaxShardsPerSource;

    /// <summary>How full a source's window is.</summary>
    private double Load(PlannedSource source) => source.OutstandingBytes / Window(source);

    private double Window(PlannedSource source)
    {
        var isShared = source.IsPublisher && _sources.Count > 1;
        // Beside others never the whole window: one on the host may be slow, and the rest would wait for it.
        var first = source.Nearness != Nearness.SameHost ? 0 : _sources.Count > 1 ? _options.FirstBytesOnHost / 2 : _options.FirstBytesOnHost;
        return source.Window((double)_options.LanesPerSource * _largestShard, isShared ? _options.SharedHorizon : _options.Horizon, isShared, first);
    }

    /// <summary>Within both windows; a window that is empty takes a shard of any size.</summary>
    private bool Fits(PlannedSource source, int size) =>
        (source.Outstanding == 0 || source.OutstandingBytes + size <= Window(source)) && (_flights.Bytes == 0 || _flights.Bytes + size <= _options.WindowBytes);

    /// <summary>Asks an idle source for a slow last shard as well, if that pays.</summary>
    private Assignment? Hedge(TimeSpan now)
    {
        _others.Clear();
        var bestRate = 0.0;
        foreach (var source in _sources)
        {
            bestRate = Math.Max(bestRate, source.Rate);
            if (source.Outstanding == 0 && CanAsk(source, now))
            {
                _others.Add(source);
            }
        }

        if (_others.Count == 0)
        {
            return null;
        }

        _alone.Clear();
        foreach (var flights in _flights.ByShard)
        {
            if (flights is [{ IsReceived: false } only] && _open[only.Ordinal] && _flights.Bytes + only.Size <= _options.WindowBytes)
            {
                _alone.Add(only);
            }
        }

        if (_hedges.Choose(_alone, _others, bestRate, now) is not var (slow, second))
        {
            return null;
        }

        _hedges.Begun(slow);
        return Begin(second, slow.Ordinal, hedge: true, now);
    }

    private Assignment Begin(PlannedSource source, int ordinal, bool hedge, TimeSpan now)
    {
        var size = _shards[ordinal].Size;
        source.Ask(size, now);
        _flights.Begin(new Flight(source, ordinal, size, now, source.OutstandingBytes));
        return new Assignment(source, ordinal, hedge);
    }

    private void End(Assignment fetch, bool wasReceived, bool isVerified)
    {
        var flight = _flights.End(fetch.Source, fetch.Ordinal);
        var isHere = !_open[fetch.Ordinal];
        if (isHere || !isVerified)
        {
            _hedges.Ended(flight, isHere, wasReceived, _now);
        }

        if (!wasReceived)
        {
            fetch.Source.Release(flight.Size);
        }
    }

    /// <summary>Takes a shard out of the missing ones, if it is there.</summary>
    private void Take(int ordinal)
    {
        if (!_missing.Contains(ordinal))
        {
            return;
        }

        _missing.Remove(ordinal);
        foreach (var source in _sources)
        {
            source.Useful -= source.Held[ordinal] ? 1 : 0;
        }
    }

    /// <summary>What a decision is about.</summary>
    private enum Part
    {
        /// <summary>Shards that only publishers hold, asked of publishers.</summary>
        OnlyPublishers,

        /// <summary>Shards that others hold, asked of them.</summary>
        Others,

        /// <summary>Shards that others hold, who cannot be asked or are much slower, asked of publishers.</summary>
        Uncovered,
    }
}
