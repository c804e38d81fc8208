namespace P2PWeights.Transfer.Connections;

/// <summary>
/// A cap in bytes per second, shared by all connections: a token bucket that holds a tenth of a second, or nothing at all when there is no cap. A taker that finds
/// too little goes into the bucket's debt and waits until its own part of that is paid, so takers are served in their order and the long-run rate is exact, however
/// late timers fire. Own code, because System.Threading.RateLimiting's bucket is refilled by system timers, each tick with the same amount: it falls behind its
/// rate when ticks come late or are missed on a busy machine, and knows no <see cref="TimeProvider"/>. Thread-safe.
/// </summary>
internal sealed class ByteRate
{
    private const double BurstSeconds = 0.1;

    /// <summary>What one taker takes in a turn: short enough that among the lanes of thirty sources each has its turn well within a stall timeout, and none looks silent because of this node's own cap.</summary>
    private const double SliceSeconds = 0.02;
    private const int MaxSliceBytes = 1 << 20;

    private readonly Lock _gate = new();
    private readonly TimeProvider _time;
    private readonly double _rate;
    private readonly double _burst;
    private double _tokens;
    private long _filledAt;

    /// <param name="bytesPerSecond">The cap; 0 for none.</param>
    /// <param name="time">The clock; the system's when null.</param>
    public ByteRate(long bytesPerSecond, TimeProvider? time = null)
    {
        _time = time ?? TimeProvider.System;
        _rate = bytesPerSecond;
        _tokens = _burst = BurstSeconds * bytesPerSecond;
        _filledAt = _time.GetTimestamp();
        SliceBytes = bytesPerSecond > 0 ? (int)Math.Clamp(SliceSeconds * bytesPerSecond, 1, MaxSliceBytes) : int.MaxValue;
    }

    /// <summary>Most bytes that should be taken at once, so that takers share the cap evenly.</summary>
    public int SliceBytes { get; }

    /// <summary>Waits until so many bytes may move. A cancelled wait gives its bytes back.</summary>
    public ValueTask TakeAsync(int bytes, CancellationToken cancellationToken)
    {
        if (_rate == 0)
        {
            return ValueTask.CompletedTask;
        }

        var wait = Take(bytes);
        return wait > TimeSpan.Zero ? WaitAsync(wait, bytes, cancellationToken) : ValueTask.CompletedTask;
    }

    private TimeSpan Take(int bytes)
    {
        lock (_gate)
        {
            var now = _time.GetTimestamp();
            _tokens = Math.Min(_burst, _tokens + (_rate * _time.GetElapsedTime(_filledAt, now).TotalSeconds)) - bytes;
            _filledAt = now;

            // Whole milliseconds, rounded up: timers know no less, and would fire early.
            return _tokens >= 0 ? TimeSpan.Zero : TimeSpan.FromMilliseconds(Math.Ceiling(-_tokens / _rate * 1000));
        }
    }

    private async ValueTask WaitAsync(TimeSpan wait, int bytes, CancellationToken cancellationToken)
    {
        try
        {
            await Task.Delay(wait, _time, cancellationToken).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            lock (_gate)
            {
                _tokens += bytes;
            }

            throw;
        }
    }
}
