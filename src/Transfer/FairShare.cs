namespace P2PWeights.Transfer;

/// <summary>
/// How much of something each of its holders has. None gets more than half of what the others leave: whoever takes all it can leaves a half, the next one a quarter, and
/// there is something for one more. Thread-safe; no IO.
/// </summary>
/// <param name="total">Most that may be out.</param>
/// <param name="mostEach">Most that one holder may have, whatever is left.</param>
internal sealed class FairShare<THolder>(long total, long mostEach = long.MaxValue)
    where THolder : notnull
{
    private readonly Lock _gate = new();
    private readonly Dictionary<THolder, long> _holders = [];
    private long _taken;

    /// <summary>Most that may be out.</summary>
    public long Total => total;

    /// <summary>What is out.</summary>
    public long Taken
    {
        get
        {
            lock (_gate)
            {
                return _taken;
            }
        }
    }

    /// <summary>Takes some for a holder. False when that is more than its share.</summary>
    public bool TryTake(THolder holder, int count)
    {
        lock (_gate)
        {
            var own = _holders.GetValueOrDefault(holder);

            // Rounded up, so that the last one goes too.
            var left = total - (_taken - own);
            if (own + count > Math.Min(mostEach, left - (left / 2)))
            {
                return false;
            }

            _holders[holder] = own + count;
            _taken += count;
            return true;
        }
    }

    /// <summary>Gives back some that was taken for the holder.</summary>
    public void Return(THolder holder, int count)
    {
        lock (_gate)
        {
            if ((_holders[holder] -= count) == 0)
            {
                _holders.Remove(holder);
            }

            _taken -= count;
        }
    }
}
