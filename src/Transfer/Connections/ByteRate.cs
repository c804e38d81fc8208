using System.Threading.RateLimiting;

namespace P2PWeights.Transfer.Connections;

/// <summary>A cap in bytes per second, shared by all connections: a token bucket that holds a tenth of a second, or nothing at all when there is no cap.</summary>
internal sealed class ByteRate : IDisposable
{
    private const int RefillsPerSecond = 20;

    /// <summary>The bucket counts its queue in bytes, as an int: small slices keep thousands of waiters within it.</summary>
    private const int MaxSliceBytes = 1 << 20;

    private readonly TokenBucketRateLimiter? _bucket;

    /// <param name="bytesPerSecond">The cap; 0 for none.</param>
    public ByteRate(long bytesPerSecond)
    {
        SliceBytes = int.MaxValue;
        if (bytesPerSecond <= 0)
        {
            return;
        }

        var perRefill = (int)Math.Clamp(bytesPerSecond / RefillsPerSecond, 1, int.MaxValue / 4);
        SliceBytes = Math.Min(2 * perRefill, MaxSliceBytes);
        _bucket = new TokenBucketRateLimiter(new TokenBucketRateLimiterOptions
        {
            TokenLimit = 2 * perRefill,
            TokensPerPeriod = perRefill,
            ReplenishmentPeriod = TimeSpan.FromSeconds(1.0 / RefillsPerSecond),
            QueueLimit = int.MaxValue,
            QueueProcessingOrder = QueueProcessingOrder.OldestFirst,
            AutoReplenishment = true,
        });
    }

    /// <summary>Most bytes that may be taken at once.</summary>
    public int SliceBytes { get; }

    /// <summary>Waits until so many bytes, at most <see cref="SliceBytes"/>, may move.</summary>
    public ValueTask TakeAsync(int bytes, CancellationToken cancellationToken) =>
        _bucket is null ? ValueTask.CompletedTask : TakeFromBucketAsync(_bucket, bytes, cancellationToken);

    public void Dispose() => _bucket?.Dispose();

    private static async ValueTask TakeFromBucketAsync(TokenBucketRateLimiter bucket, int bytes, CancellationToken cancellationToken)
    {
        using var taken = await bucket.AcquireAsync(bytes, cancellationToken).ConfigureAwait(false);
        if (!taken.IsAcquired)
        {
            throw new IOException("too many transfers wait for the rate cap");
        }
    }
}
