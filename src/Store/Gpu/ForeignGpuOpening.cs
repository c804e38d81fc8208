namespace P2PWeights.Store.Gpu;

/// <summary>A GPU arena of another process, opened when it is first wanted. One that cannot be opened fails at once for a while, because everybody who wants a shard of it asks, and is tried again then. Thread-safe.</summary>
/// <param name="open">Opens it, or throws <see cref="IOException"/>.</param>
internal sealed class ForeignGpuOpening(Func<IForeignGpuArena> open, TimeProvider time)
{
    /// <summary>From one try to the next.</summary>
    public static readonly TimeSpan BackOff = TimeSpan.FromSeconds(10);

    private readonly Lock _gate = new();
    private volatile IForeignGpuArena? _opened;
    private IOException? _failure;
    private long _failedAt;

    /// <summary>Null until it is open.</summary>
    public IForeignGpuArena? Opened => _opened;

    /// <exception cref="IOException">It cannot be opened.</exception>
    public IForeignGpuArena Open()
    {
        if (_opened is { } opened)
        {
            return opened;
        }

        lock (_gate)
        {
            if (_opened is { } meanwhile)
            {
                return meanwhile;
            }

            if (_failure is not null && time.GetElapsedTime(_failedAt) < BackOff)
            {
                throw new IOException(_failure.Message, _failure);
            }

            try
            {
                return _opened = open();
            }
            catch (IOException failure)
            {
                (_failure, _failedAt) = (failure, time.GetTimestamp());
                throw;
            }
        }
    }
}
