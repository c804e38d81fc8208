namespace P2PWeights.Tracker.Discovery;

/// <summary>So many of something per second, and so many at once: what others can make us do stays bounded.</summary>
internal sealed class RateBudget
{
    private readonly double _perSecond;
    private readonly double _burst;
    private double _left;
    private TimeSpan _at;

    /// <param name="perSecond">In the long run.</param>
    /// <param name="burst">At once, after a quiet time.</param>
    public RateBudget(double perSecond, double burst) => (_perSecond, _burst, _left) = (perSecond, burst, burst);

    /// <summary>Takes one, unless there is none left.</summary>
    public bool TryTake(TimeSpan now)
    {
        _left = Math.Min(_burst, _left + (Math.Max(0, (now - _at).TotalSeconds) * _perSecond));
        _at = now;
        if (_left < 1)
        {
            return false;
        }

        _left--;
        return true;
    }
}
