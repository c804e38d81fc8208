using P2PWeights.Store.Content;

namespace P2PWeights.Client.Sync;

/// <summary>
/// The shards whose state the tracker may not know. Only that a shard changed is kept, not how: whether it was gained or lost is asked of the store
/// when the change is sent, so any number of changes, in any order, end in the truth. Thread-safe.
/// </summary>
internal sealed class PendingChanges
{
    private readonly Lock _lock = new();
    private readonly HashSet<Digest> _touched = [];

    public bool IsEmpty
    {
        get
        {
            lock (_lock)
            {
                return _touched.Count == 0;
            }
        }
    }

    public void Add(Digest digest)
    {
        lock (_lock)
        {
            _touched.Add(digest);
        }
    }

    public void Clear()
    {
        lock (_lock)
        {
            _touched.Clear();
        }
    }

    /// <summary>Takes at most <paramref name="most"/> digests out; those left are for the next call.</summary>
    public List<Digest> Take(int most)
    {
        lock (_lock)
        {
            var taken = _touched.Take(most).ToList();
            _touched.ExceptWith(taken);
            return taken;
        }
    }
}
