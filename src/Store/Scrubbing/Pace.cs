namespace P2PWeights.Store.Scrubbing;

/// <summary>Holds a reader to a rate by making it wait after each piece for as long as the piece should have taken.</summary>
/// <param name="bytesPerSecond">0 for unlimited.</param>
internal sealed class Pace(long bytesPerSecond, TimeProvider time)
{
    private readonly long _start = time.GetTimestamp();
    private long _spent;

    /// <summary>Counts bytes read and waits until the rate allows more.</summary>
    public Task SpendAsync(long bytes, CancellationToken cancellationToken)
    {
        if (bytesPerSecond <= 0)
        {
            return Task.CompletedTask;
        }

        _spent += bytes;
        var ahead = TimeSpan.FromSeconds((double)_spent / bytesPerSecond) - time.GetElapsedTime(_start);
        return ahead > TimeSpan.Zero ? Task.Delay(ahead, time, cancellationToken) : Task.CompletedTask;
    }
}
