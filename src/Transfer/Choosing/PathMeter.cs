using System.Collections.Immutable;

namespace P2PWeights.Transfer.Choosing;

/// <summary>
/// What one path carried: shards and bytes that were verified, failures by reason, and for how long anything was on its way. Fractions of a shard do not count; it is
/// called a few times per shard. Thread-safe.
/// </summary>
internal sealed class PathMeter(TimeProvider time)
{
    /// <summary>The rate is an average over about this much time with something on the way.</summary>
    private const double RateSeconds = 5;

    private readonly Lock _gate = new();
    private readonly SortedDictionary<string, int> _failures = new(StringComparer.Ordinal);
    private long _since = time.GetTimestamp();
    private TimeSpan _busy;
    private TimeSpan _ratedAt;
    private double _rate;
    private int _active;
    private int _shards;
    private long _bytes;

    /// <summary>Whether anything ever went this way.</summary>
    public bool WasUsed
    {
        get
        {
            lock (_gate)
            {
                return _shards > 0 || _failures.Count > 0 || _busy > TimeSpan.Zero || _active > 0;
            }
        }
    }

    /// <summary>A shard sets out.</summary>
    public void Begin()
    {
        lock (_gate)
        {
            Advance();
            _active++;
        }
    }

    /// <summary>A shard is there, or will not come.</summary>
    public void End()
    {
        lock (_gate)
        {
            Advance();
            _active--;
        }
    }

    /// <summary>A shard that came this way is verified.</summary>
    public void Carried(int bytes)
    {
        lock (_gate)
        {
            Advance();
            _shards++;
            _bytes += bytes;

            // The average while something was on its way; the newest RateSeconds weigh most, and the first ones count in full.
            var span = Math.Max((_busy - _ratedAt).TotalSeconds, 1e-3);
            var weight = Math.Max(span / Math.Max(_busy.TotalSeconds, 1e-3), 1 - Math.Exp(-span / RateSeconds));
            _rate += weight * ((bytes / span) - _rate);
            _ratedAt = _busy;
        }
    }

    /// <param name="reason">A word of <see cref="FailureReasons"/>.</param>
    public void Failed(string reason)
    {
        lock (_gate)
        {
            _failures[reason] = _failures.GetValueOrDefault(reason) + 1;
        }
    }

    public PathReport Report(string path)
    {
        lock (_gate)
        {
            Advance();
            return new PathReport(path, _shards, _bytes, _busy, _failures.ToImmutableSortedDictionary(StringComparer.Ordinal));
        }
    }

    /// <summary>Verified bytes per second lately, not counting the time in which nothing was on its way; 0 while unknown.</summary>
    public double BytesPerSecond
    {
        get
        {
            lock (_gate)
            {
                return _rate;
            }
        }
    }

    private void Advance()
    {
        var now = time.GetTimestamp();
        if (_active > 0)
        {
            _busy += time.GetElapsedTime(_since, now);
        }

        _since = now;
    }
}
