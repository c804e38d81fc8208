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
/// a time's worth of bytes per source; complete sources are spared where other pullers can do (<see cref="PublisherRelief"/>); when nothing is left to ask for, a
/// slow last shard is asked of a second source (<see cref="HedgePlanner"/>).
/// </summary>
internal sealed class PullPlanner
{
    private readonly ImmutableArray<ShardInfo> _shards;
    private readonly PlannerOptions _options;
    private readonly RarityIndex _missing;
    private readonly List<PlannedSource> _sources = [];
    private readonly int[] _holders;
    private readonly List<PlannedSource> _candidates = [];
    private readonly Comparison<PlannedSource> _bestFirst;
    private readonly Dictionary<int, List<Flight>> _flights = [];
    private readonly Stack<List<Flight>> _spare = new();
    private readonly HashSet<int> _open;
    private readonly Queue<int> _order;
    private readonly HashSet<int> _later;
    private readonly long _lookAhead;
    private readonly PublisherRelief _relief;
    private readonly HedgePlanner _hedges;
    private readonly int _largestShard;
    private long _windowUsed;
    private long _admittedBytes;
    private TimeSpan _now;

    /// <param name="self">This node's id, which decides its share.</param>
    /// <param name="shards">The manifest's shard table.</param>
    /// <param name="wanted">Ordinals to fetch; all count as missing at first.</param>
    public PullPlanner(Guid self, ImmutableArray<ShardInfo> shards, IEnumerable<int> wanted, PlannerOptions options, Random random)
    {
        _shards = shards;
        _options = options;
        _missing = new RarityIndex(shards.Length, random);
        _holders = new int[shards.Length];
        _order = new Queue<int>(wanted);
        _open = [.. _order];
        _later = [.. _order];
        _lookAhead = options.LookAheadBytes > 0 ? options.LookAheadBytes : long.MaxValue;
        foreach (var ordinal in _order)
        {
            _largestShard = Math.Max(_largestShard, shards[ordinal].Size);
        }

        _bestFirst = (one, other) => one.IsComplete != other.IsComplete ? one.IsComplete.CompareTo(other.IsComplete) : Load(one).CompareTo(Load(other));
        _relief = new PublisherRelief(self, shards.Length, _sources, CanAsk);
        _hedges = new HedgePlanner(_open.Sum(ordinal => (long)shards[ordinal].Size), _largestShard);
        Admit();
    }

    /// <summary>Shards not verified yet.</summary>
    public int Left => _open.Count;

    /// <summary>Shards that may be asked for, and are neither verified nor on their way.</summary>
    public int Missing => _missing.Count;

    /// <summary>Shards on their way.</summary>
    public int Fetching => _flights.Count;

    /// <summary>Whether the window over all sources has no room for another shard.</summary>
    public bool IsWindowFull => _windowUsed > 0 && _windowUsed + _largestShard > _options.WindowBytes;

    /// <summary>Shards not verified yet.</summary>
    public IReadOnlyCollection<int> Open => _open;

    public PlannedSource AddSource(Guid peer)
    {
        var source = new PlannedSource(peer, _shards.Length);
        _sources.Add(source);
        _relief.Changed();
        return source;
    }

    /// <summary>The source is gone. Its fetches end on their own, each with <see cref="Failed"/>.</summary>
    public void RemoveSource(PlannedSource source)
    {
        SetHeld(source, new ShardBitmap(_shards.Length));
        _sources.Remove(source);
        _relief.Changed();
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
            _relief.Changed();
        }
        else if (!isComplete)
        {
            _relief.Gained(held);
        }
    }

    /// <summary>The next decision, or null when nothing can be asked for now. A decision counts as carried out until <see cref="Failed"/> or <see cref="Done(Assignment)"/>.</summary>
    public Assignment? Next(TimeSpan now)
    {
        _now = now;
        if (_windowUsed >= _options.WindowBytes)
        {
            return null;
        }

        _candidates.Clear();
        foreach (var source in _sources)
        {
            if (source.Useful > 0 && CanAsk(source, now) && Load(source) < 1)
            {
                _candidates.Add(source);
            }
        }

        _candidates.Sort(_bestFirst);
        foreach (var source in _candidates)
        {
            if (Choose(source, now) is var ordinal and >= 0 && Fits(source, ordinal))
            {
                Take(ordinal);
                return Begin(source, ordinal, hedge: false, now);
            }
        }

        return _missing.Count == 0 && _later.Count == 0 ? Hedge(now) : null;
    }

    /// <summary>The shard is not to be asked for, for now: somebody else brings it, or it is copied from the store.</summary>
    public void SetAside(int ordinal)
    {
        if (_later.Remove(ordinal))
        {
            _admittedBytes += _shards[ordinal].Size;
        }

        Take(ordinal);
    }

    /// <summary>A shard that was set aside is to be asked for after all.</summary>
    public void PutBack(int ordinal)
    {
        if (_open.Contains(ordinal) && !_missing.Contains(ordinal) && !_flights.ContainsKey(ordinal))
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
        fetch.Source.Release(_shards[fetch.Ordinal].Size);
        var flights = _flights[fetch.Ordinal];
        var index = IndexOf(flights, fetch.Source);
        flights[index] = flights[index] with { IsReceived = true };
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
        if (_open.Remove(ordinal) && !_later.Remove(ordinal))
        {
            _admittedBytes -= _shards[ordinal].Size;
            Admit();
        }
    }

    /// <summary>Lets the next shards in, in their order, as far ahead of what is verified as is allowed.</summary>
    private void Admit()
    {
        while (_admittedBytes < _lookAhead && _order.TryDequeue(out var next))
        {
            if (_later.Remove(next))
            {
                _admittedBytes += _shards[next].Size;
                PutBack(next);
            }
        }
    }

    /// <summary>What to ask this source for, or -1.</summary>
    private int Choose(PlannedSource source, TimeSpan now)
    {
        // Rarity counts the pullers that hold a shard: at 0 stands what complete sources alone hold.
        var ordinal = -1;
        if (source.IsComplete)
        {
            ordinal = _missing.Pick(0, source.Held, alsoIn: _relief.Share);

            // The share of others is theirs to ask for; a lane that would idle takes some of it all the same.
            if (ordinal < 0 && (_relief.Pullers == 0 || source.Outstanding < 2 * _options.LanesPerSource))
            {
                ordinal = _missing.Pick(0, source.Held);
            }
        }

        var covered = source.IsComplete && ordinal < 0 ? _relief.Covered(_flights.Values.SelectMany(flights => flights), now) : null;
        for (var rarity = 1; ordinal < 0 && rarity < _missing.Levels; rarity++)
        {
            ordinal = _missing.Pick(rarity, source.Held, notIn: covered);
        }

        return ordinal;
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

    private double Window(PlannedSource source)
    {
        var isShared = source.IsComplete && _relief.Pullers > 0;
        return source.Window((double)_options.LanesPerSource * _largestShard, isShared ? _options.SharedHorizon : _options.Horizon, isShared);
    }

    /// <summary>Within both windows; a window that is empty takes a shard of any size.</summary>
    private bool Fits(PlannedSource source, int ordinal)
    {
        var size = _shards[ordinal].Size;
        return (source.Outstanding == 0 || source.OutstandingBytes + size <= Window(source))
            && (_windowUsed == 0 || _windowUsed + size <= _options.WindowBytes);
    }

    /// <summary>Asks an idle source for a slow last shard as well, if that pays.</summary>
    private Assignment? Hedge(TimeSpan now)
    {
        var idle = _sources.FindAll(source => source.Outstanding == 0 && CanAsk(source, now));
        var alone = _flights.Values
            .Where(flights => flights is [{ IsReceived: false } only] && _open.Contains(only.Ordinal) && _windowUsed + only.Size <= _options.WindowBytes)
            .Select(flights => flights[0]);
        if (idle.Count == 0 || _hedges.Choose(alone, idle, _sources.Max(source => source.Rate), now) is not var (slow, second))
        {
            return null;
        }

        _hedges.Begun(slow);
        return Begin(second, slow.Ordinal, hedge: true, now);
    }

    private Assignment Begin(PlannedSource source, int ordinal, bool hedge, TimeSpan now)
    {
        var size = _shards[ordinal].Size;
        if (!_flights.TryGetValue(ordinal, out var flights))
        {
            _flights[ordinal] = flights = _spare.TryPop(out var spare) ? spare : [];
        }

        source.Ask(size, now);
        flights.Add(new Flight(source, ordinal, size, now, source.OutstandingBytes));
        _windowUsed += size;
        return new Assignment(source, ordinal, hedge);
    }

    private void End(Assignment fetch, bool wasReceived, bool isVerified)
    {
        var flights = _flights[fetch.Ordinal];
        var index = IndexOf(flights, fetch.Source);
        var flight = flights[index];
        flights.RemoveAt(index);
        if (flights.Count == 0)
        {
            _flights.Remove(fetch.Ordinal);
            _spare.Push(flights);
        }

        var isHere = !_open.Contains(fetch.Ordinal);
        if (isHere || !isVerified)
        {
            _hedges.Ended(flight, isHere, wasReceived, _now);
        }

        if (!wasReceived)
        {
            fetch.Source.Release(flight.Size);
        }

        _windowUsed -= flight.Size;
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
