using P2PWeights.Transfer.Wire;

namespace P2PWeights.Transfer.Serving;

/// <summary>The leases that one lane has out, and until when. Times are timestamps of the node's clock. Thread-safe; no IO.</summary>
internal sealed class LeaseLaneTable
{
    private readonly Lock _gate = new();
    private readonly Dictionary<ulong, GrantedLease> _leases = [];
    private ulong _lastId;

    public int Count
    {
        get
        {
            lock (_gate)
            {
                return _leases.Count;
            }
        }
    }

    /// <summary>A number that no lease of the lane had before; above 0.</summary>
    public ulong NextId() => Interlocked.Increment(ref _lastId);

    public void Add(GrantedLease lease)
    {
        lock (_gate)
        {
            _leases.Add(lease.Id, lease);
        }
    }

    /// <summary>Takes leases out of the table; numbers of leases that have ended are passed over.</summary>
    /// <exception cref="TransferException">A number was never given.</exception>
    public List<GrantedLease> Take(IReadOnlyList<ulong> ids)
    {
        var taken = new List<GrantedLease>(ids.Count);
        lock (_gate)
        {
            foreach (var id in ids)
            {
                if (id == 0 || id > _lastId)
                {
                    throw FrameCodec.Violation($"lease {id} was never given on this lane");
                }

                if (_leases.Remove(id, out var lease))
                {
                    taken.Add(lease);
                }
            }
        }

        return taken;
    }

    /// <summary>Lets all leases that have not run out hold until <paramref name="until"/>, or their own limit if that comes first.</summary>
    /// <param name="recalls">Those that keep memory hold no longer than they did.</param>
    public void Renew(long now, long until, bool recalls)
    {
        lock (_gate)
        {
            foreach (var lease in _leases.Values)
            {
                if (lease.Expires > now && !(recalls && lease.IsKept))
                {
                    lease.Expires = Math.Min(until, lease.Limit);
                }
            }
        }
    }

    /// <summary>Takes out what has run out.</summary>
    public List<GrantedLease> TakeExpired(long now) => TakeWhere(lease => lease.Expires <= now);

    /// <summary>Takes out all leases for which the condition holds.</summary>
    public List<GrantedLease> TakeWhere(Func<GrantedLease, bool> condition)
    {
        lock (_gate)
        {
            var taken = _leases.Values.Where(condition).ToList();
            taken.ForEach(lease => _leases.Remove(lease.Id));
            return taken;
        }
    }
}
