namespace P2PWeights.Store.Reuse;

/// <summary>Objects that nobody uses now, for the next user. Bounded: what is more than that is left to the garbage collector. Thread-safe.</summary>
/// <param name="make">Makes one when none is spare.</param>
internal sealed class SparePool<T>(Func<T> make)
    where T : Reused
{
    /// <summary>Far more than a node moves at once in ordinary use; a burst beyond it costs garbage and no memory for ever.</summary>
    private const int MostSpare = 1024;

    private readonly Lock _gate = new();
    private readonly Stack<T> _spare = new();

    public T Take()
    {
        lock (_gate)
        {
            if (_spare.TryPop(out var spare))
            {
                return spare;
            }
        }

        return make();
    }

    /// <summary>Takes back what is at the end of its turn.</summary>
    public void Return(T item)
    {
        lock (_gate)
        {
            if (_spare.Count < MostSpare)
            {
                _spare.Push(item);
            }
        }
    }
}
