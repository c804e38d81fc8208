namespace P2PWeights.Transfer.Pulling;

/// <summary>The fetches of a pull that are under way, by shard: one, or two while a slow last shard is asked for twice. Owned by the pull's loop.</summary>
internal sealed class FetchBook
{
    private readonly Dictionary<int, List<Fetch>> _fetches = [];
    private readonly Stack<List<Fetch>> _spare = new();

    /// <summary>Every fetch under way.</summary>
    public IEnumerable<Fetch> All => _fetches.Values.SelectMany(list => list);

    /// <summary>Shards that are being fetched.</summary>
    public IEnumerable<int> Ordinals => _fetches.Keys;

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

    public void Clear() => _fetches.Clear();

    public IEnumerable<Fetch> Of(PullSource source) => All.Where(fetch => fetch.Source == source);
}
