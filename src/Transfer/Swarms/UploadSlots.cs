namespace P2PWeights.Transfer.Swarms;

/// <summary>
/// Bounds the shards served at the same time, and decides who is served next: of those that wait, a peer that holds the fewest slots, the longest wait first. A quarter of the
/// slots is kept for newcomers, peers that hold no slot yet, so that peers which are served already cannot keep the others out. Thread-safe.
/// </summary>
internal sealed class UploadSlots(int total)
{
    private static readonly TimeSpan LeastPatience = TimeSpan.FromMilliseconds(10);
    private static readonly TimeSpan MostPatience = TimeSpan.FromMilliseconds(250);

    private readonly Lock _gate = new();
    private readonly Dictionary<Guid, int> _taken = [];
    private readonly List<IUploadWaiter> _waiting = [];
    private readonly int _shared = total - (total / 4);
    private int _used;
    private TimeSpan _holdTime = 4 * TimeSpan.FromMilliseconds(50);

    /// <summary>
    /// How long to wait for a slot, and then to ask others: a part of the time for which slots were held lately. Shorter than any patience for a byte, so that who waits knows in time that
    /// it was not forgotten.
    /// </summary>
    public TimeSpan Patience
    {
        get
        {
            lock (_gate)
            {
                return TimeSpan.FromTicks(Math.Clamp(_holdTime.Ticks / 4, LeastPatience.Ticks, MostPatience.Ticks));
            }
        }
    }

    /// <summary>Takes a slot for a peer if one is free for it.</summary>
    public bool TryTake(Guid peer)
    {
        lock (_gate)
        {
            return TryTakeFree(peer);
        }
    }

    /// <summary>Takes a slot, or else waits for one: then the waiter is told when it has one, unless it gives up before.</summary>
    public bool TakeOrWait(IUploadWaiter waiter)
    {
        lock (_gate)
        {
            if (TryTakeFree(waiter.Peer))
            {
                return true;
            }

            _waiting.Add(waiter);
            return false;
        }
    }

    /// <summary>The waiter waits no longer. False when it has a slot already, which it must give back.</summary>
    public bool GiveUp(IUploadWaiter waiter)
    {
        lock (_gate)
        {
            return _waiting.Remove(waiter);
        }
    }

    /// <summary>A slot was held for so long while a shard was sent.</summary>
    public void Held(TimeSpan time)
    {
        lock (_gate)
        {
            _holdTime += (time - _holdTime) / 8;
        }
    }

    /// <summary>Gives back a slot that was taken for the peer; whoever is next gets it.</summary>
    public void Release(Guid peer)
    {
        IUploadWaiter? next;
        lock (_gate)
        {
            var own = _taken[peer];
            if (own == 1)
            {
                _taken.Remove(peer);
            }
            else
            {
                _taken[peer] = own - 1;
            }

            _used--;
            next = Next();
            if (next is not null)
            {
                _waiting.Remove(next);
                TryTakeFree(next.Peer);
            }
        }

        next?.Granted();
    }

    private bool TryTakeFree(Guid peer)
    {
        var own = _taken.GetValueOrDefault(peer);
        if (_used >= (own == 0 ? total : _shared))
        {
            return false;
        }

        _taken[peer] = own + 1;
        _used++;
        return true;
    }

    private IUploadWaiter? Next()
    {
        IUploadWaiter? next = null;
        var fewest = int.MaxValue;
        foreach (var waiter in _waiting)
        {
            if (_taken.GetValueOrDefault(waiter.Peer) is var own && own < fewest)
            {
                (next, fewest) = (waiter, own);
            }
        }

        return next is not null && _used < (fewest == 0 ? total : _shared) ? next : null;
    }
}

/// <summary>Somebody who waits for an upload slot.</summary>
internal interface IUploadWaiter
{
    /// <summary>The peer to be served.</summary>
    Guid Peer { get; }

    /// <summary>A slot was taken for the peer. Called once at most; must not block.</summary>
    void Granted();
}
