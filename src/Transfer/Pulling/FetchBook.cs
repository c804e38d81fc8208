namespace P2PWeights.Transfer.Pulling;

/// <summary>The fetches of a pull that are under way, by shard: one, or two while a slow last shard is asked for twice. Owned by the pull's loop.</summary>
internal sealed class FetchBook
{
    private readonly Dictionary<int, List<Fetch>> _fetches = [];
    private readonly Stack<List<Fetch>> _spare = new();
    private readonly Stack<Fetch> _idle = new();

    /// <summary>Every fetch under way.</summary>
    public IEnumerable<Fetch> All => _fetches.Values.SelectMany(list => list);

    /// <summary>Whether any is on its way through this node: not asked of its peer, or here already.</summary>
    public bool AnyBeyondPeers
    {
        get
        {
            foreach (var fetches in _fetches.Values)
            {
                foreach (var fetch in fetches)
                {
                    if (fetch.Stage != FetchStage.Asked)
                    {
                        return true;
                    }
                }
            }

            return false;
        }
    }

    /// <summary>Shards that are being fetched.</summary>
    public IEnumerable<int> Ordinals => _fetches.Keys;

    /// <summary>A fetch that nothing is asked of now: an ended one if there is one, so that a pull makes as many as are under way at once.</summary>
    public Fetch Take(FetchContext context) => _idle.TryPop(out var idle) ? idle : new Fetch(context);

    /// <summary>Takes back a fetch that has ended and was removed.</summary>
    public void TakeBack(Fetch fetch)
    {
        if (fetch.IsReusable)
        {
            _idle.Push(fetch);
        }
        else
        {
            fetch.Dispose();
        }
    }

    /// <summary>A fetch begins.</summary>
    public void Add(Fetch fetch)
    {
        if (!_fetches.TryGetValue(fetch.Assignment.Ordinal, out var fetches))
        {
            _fetches[fetch.Assignment.Ordinal] = fetches = _spare.TryPop(out var spare) ? spare : [];
        }

        fetches.Add(fetch);
    }

    /// <summary>A fetch has ended.</summary>
    /// <returns>The other fetches of the same shard, until the next call; none when nobody fetches it any more.</returns>
    public IReadOnlyList<Fetch> Remove(Fetch fetch)
    {
        var fetches = _fetches[fetch.Assignment.Ordinal];
        fetches.Remove(fetch);
        if (fetches.Count == 0)
        {
            _fetches.Remove(fetch.Assignment.Ordinal);
            _spare.Push(fetches);
        }

        return fetches;
    }

    /// <summary>Ends with all fetches, none of which runs any more.</summary>
    public void Clear()
    {
        foreach (var fetch in All.Concat(_idle))
        {
            fetch.Dispose();
        }

        _fetches.Clear();
        _idle.Clear();
    }

    public IEnumerable<Fetch> Of(PullSource source) => All.Where(fetch => fetch.Source == source);
}
