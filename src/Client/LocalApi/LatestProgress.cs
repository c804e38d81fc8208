using System.Threading.Channels;

namespace P2PWeights.Client.LocalApi;

/// <summary>Progress on its way to a reader that may be slower than the work: only the latest report waits, and nobody waits for the reader.</summary>
internal sealed class LatestProgress<T> : IProgress<T>
{
    private readonly Channel<T> _latest =
        Channel.CreateBounded<T>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropOldest, SingleReader = true });

    public void Report(T value) => _latest.Writer.TryWrite(value);

    /// <summary>No report follows.</summary>
    public void Complete() => _latest.Writer.TryComplete();

    public IAsyncEnumerable<T> ReadAllAsync(CancellationToken cancellationToken) => _latest.Reader.ReadAllAsync(cancellationToken);
}
