namespace P2PWeights.Client.Updating.Pipeline;

/// <summary>Adds up the time in which at least one bucket was in a stage. Thread-safe.</summary>
internal sealed class StageMeter(TimeProvider time)
{
    private readonly Lock _gate = new();
    private int _inside;
    private long _since;
    private TimeSpan _busy;

    /// <summary>Time so far.</summary>
    public TimeSpan Busy
    {
        get
        {
            lock (_gate)
            {
                return _inside > 0 ? _busy + time.GetElapsedTime(_since) : _busy;
            }
        }
    }

    /// <summary>Something enters the stage, until what is returned is disposed.</summary>
    public Visit Enter()
    {
        lock (_gate)
        {
            if (_inside++ == 0)
            {
                _since = time.GetTimestamp();
            }
        }

        return new Visit(this);
    }

    private void Leave()
    {
        lock (_gate)
        {
            if (--_inside == 0)
            {
                _busy += time.GetElapsedTime(_since);
            }
        }
    }

    internal readonly struct Visit(StageMeter meter) : IDisposable
    {
        public void Dispose() => meter.Leave();
    }
}
