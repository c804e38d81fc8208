using System.Threading.Channels;

namespace P2PWeights.Store.Tests.Scrubbing;

/// <summary>A clock that moves only when told. Timers shorter than a minute are reported as they are set; longer ones (upkeep) never fire.</summary>
internal sealed class ManualTime : TimeProvider
{
    private readonly Channel<(TimeSpan Due, Action Fire)> _timers = Channel.CreateUnbounded<(TimeSpan, Action)>();
    private Action? _fire;
    private long _now;

    public override long TimestampFrequency => TimeSpan.TicksPerSecond;

    public override long GetTimestamp() => Interlocked.Read(ref _now);

    public override DateTimeOffset GetUtcNow() => DateTimeOffset.UnixEpoch.AddTicks(GetTimestamp());

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        if (dueTime < TimeSpan.FromSeconds(30))
        {
            _timers.Writer.TryWrite((dueTime, () => callback(state)));
        }

        return new Timer();
    }

    /// <summary>Waits until somebody waits for a time, and says for how long.</summary>
    public async Task<TimeSpan> NextDueAsync(CancellationToken cancellationToken)
    {
        (var due, _fire) = await _timers.Reader.ReadAsync(cancellationToken);
        return due;
    }

    /// <summary>Moves the clock and fires the timer got by <see cref="NextDueAsync"/>.</summary>
    public void Advance(TimeSpan by)
    {
        Interlocked.Add(ref _now, by.Ticks);
        _fire!();
    }

    private sealed class Timer : ITimer
    {
        public bool Change(TimeSpan dueTime, TimeSpan period) => true;

        public void Dispose()
        {
        }

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }
}
