using P2PWeights.Transfer.Swarms;

namespace P2PWeights.Transfer.Pulling;

/// <summary>
/// The shards that a source announces and, when asked, did not have. What kept it from serving one may pass (its disk failed once, the shard is on its way back), so
/// it is asked again after a while, which doubles with each denial. Pure, and owned by the pull's loop.
/// </summary>
internal sealed class DeniedShards
{
    private static readonly TimeSpan FirstPause = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan LongestPause = TimeSpan.FromMinutes(1);

    private readonly Dictionary<int, (int Times, TimeSpan Until)> _denied = [];
    private TimeSpan _nextEnd = TimeSpan.MaxValue;

    /// <summary>The source did not have a shard.</summary>
    public void Add(int ordinal, TimeSpan now)
    {
        var times = _denied.GetValueOrDefault(ordinal).Times;
        var pause = FirstPause * Math.Pow(2, Math.Min(times, 10));
        var until = now + (pause < LongestPause ? pause : LongestPause);
        _denied[ordinal] = (times + 1, until);
        _nextEnd = until < _nextEnd ? until : _nextEnd;
    }

    /// <summary>What the source may be asked for of what it announces.</summary>
    public ShardBitmap Without(ShardBitmap announced, TimeSpan now)
    {
        if (_denied.Count == 0)
        {
            return announced;
        }

        var held = announced.Clone();
        foreach (var (ordinal, denial) in _denied)
        {
            if (denial.Until > now)
            {
                held[ordinal] = false;
            }
        }

        return held;
    }

    /// <summary>Whether a pause is over since the last call: the source may be asked for more.</summary>
    public bool TakeEnded(TimeSpan now)
    {
        if (now < _nextEnd)
        {
            return false;
        }

        _nextEnd = _denied.Values.Where(denial => denial.Until > now).Select(denial => denial.Until).DefaultIfEmpty(TimeSpan.MaxValue).Min();
        return true;
    }
}
