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
/// </summary>
internal sealed class PullPlanner
{
    private readonly ImmutableArray<ShardInfo> _shards;
    private readonly PlannerOptions _options;
    private readonly RarityIndex _missing;
    private readonly List<PlannedSource> _sources = [];
    private readonly int[] _holders;
    private readonly Dictionary<int, List<(PlannedSource Source, TimeSpan Since)>> _fetching = [];
    private readonly HashSet<int> _open;
    private readonly int _largestShard;
    private long _windowUsed;

    /// <param name="shards">The manifest's shard table.</param>
    /// <param name="wanted">Ordinals to fetch; all count as missing at first.</param>
    public PullPlanner(ImmutableArray<ShardInfo> shards, IEnumerable<int> wanted, PlannerOptions options, Random random)
    {
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

    /// <summary>Shards not verified yet.</summary>
    public IReadOnlyCollection<int> Open => _open;

    public PlannedSource AddSource()
    {
        var source = new PlannedSource(_shards.Length);
        _sources.Add(source);
        return source;
    }

    /// <summary>The source is gone. Its fetches end on their own, each with <see cref="Failed"/>.</summary>
    public void RemoveSource(PlannedSource source)
    {
        SetHeld(source, new ShardBitmap(_shards.Length));
        _sources.Remove(source);
    }

    /// <summary>The source told what it holds now.</summary>
    public void SetHeld(PlannedSource source, ShardBitmap held)
    {
        held.VisitChanges(source.Held, (ordinal, gained) =>
        {
            var change = gained ? 1 : -1;
            if (_missing.Contains(ordinal))
            {
                _missing.Remove(ordinal);
                _missing.Add(ordinal, _holders[ordinal] + change);
                source.Useful += change;
            }

            _holders[ordinal] += change;
        });
        source.Held = held;
    }

    /// <summary>The next decision, or null when nothing can be asked for now. A decision counts as carried out until <see cref="Failed"/> or <see cref="Done(Assignment)"/>.</summary>
    public Assignment? Next(TimeSpan now)
    {
        foreach (var source in _sources.Where(s => CanAsk(s, now)).OrderBy(Load))
        {
            if (source.Useful > 0 && _missing.Rarest(source.Held) is var ordinal and >= 0 && Fits(source, ordinal))
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

    /// <summary>Whether any source that is not put off holds something to ask for, or brings something.</summary>
    public bool HasSource(TimeSpan now) => _fetching.Count > 0 || _sources.Exists(s => s.Useful > 0 && s.NotBefore <= now);

    private bool CanAsk(PlannedSource source, TimeSpan now) => source.NotBefore <= now && source.Outstanding < _options.MaxShardsPerSource;

    /// <summary>How full a source's window is.</summary>
    private double Load(PlannedSource source) => source.OutstandingBytes / Window(source);

    /// <summary>What may be asked of a source ahead: a time's worth at its rate, and never less than keeps its lanes busy.</summary>
    private double Window(PlannedSource source)
    {
        var lanes = (double)_options.LanesPerSource * _largestShard;
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
