namespace P2PWeights.Transfer.Serving;

/// <summary>
/// Bounds the shards served at the same time. A quarter of the slots is kept for newcomers, peers that hold no slot yet, so that peers which are served
/// already cannot keep the others out. Thread-safe.
/// </summary>
internal sealed class UploadSlots(int total)
{
    private readonly Lock _gate = new();
    private readonly Dictionary<Guid, int> _taken = [];
    private readonly int _shared = total - (total / 4);
    private int _used;

    /// <summary>Takes a slot for a peer if one is free for it.</summary>
    public bool TryTake(Guid peer)
    {
        lock (_gate)
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
    }

    /// <summary>Gives back a slot that was taken for the peer.</summary>
    public void Release(Guid peer)
    {
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
        }
    }
}
