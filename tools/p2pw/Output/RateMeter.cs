namespace P2PWeights.Cli.Output;

/// <summary>Speed over the last few seconds, and what it promises. Values in, numbers out; the caller brings the clock.</summary>
internal sealed class RateMeter
{
    private static readonly TimeSpan Window = TimeSpan.FromSeconds(5);

    private readonly Queue<(TimeSpan At, long Bytes)> _samples = new();
    private (TimeSpan At, long Bytes) _last;

    /// <summary>Bytes per second between the oldest and the newest sample of the window; 0 while there is only one.</summary>
    public double BytesPerSecond { get; private set; }

    /// <summary>Adds a sample; <paramref name="bytes"/> counts from the start.</summary>
    public void Add(TimeSpan at, long bytes)
    {
        _last = (at, bytes);
        _samples.Enqueue(_last);
        while (_samples.Count > 2 && at - _samples.Peek().At > Window)
            _samples.Dequeue();
        var first = _samples.Peek();
        BytesPerSecond = at > first.At ? Math.Max(0, (bytes - first.Bytes) / (at - first.At).TotalSeconds) : 0;
    }

    /// <summary>Time until <paramref name="total"/> at this speed; null when nothing moves.</summary>
    public TimeSpan? Remaining(long total) =>
        BytesPerSecond > 0 ? TimeSpan.FromSeconds(Math.Min(Math.Max(0, total - _last.Bytes) / BytesPerSecond, TimeSpan.FromDays(99).TotalSeconds)) : null;
}
