using P2PWeights.Transfer.Choosing;

namespace P2PWeights.Transfer.Pulling;

/// <summary>One path of one source of a pull: what it carried for this pull, and whether it is silent. Thread-safe.</summary>
internal sealed class SourcePath(string name, PathMeter ofPeer, TransferMetrics metrics, TimeProvider time)
{
    private readonly PathMeter _ofPull = new(time);
    private long _lastByte;
    private int _asked;

    /// <summary>A view per allowed path, which adds to what the node remembers of the peer too.</summary>
    public static SourcePath[] All(PullContext context, PeerPaths paths) =>
        [.. context.Options.Paths.Select((name, index) => new SourcePath(name, paths.Meter(index), context.Metrics, context.Time))];

    public bool WasUsed => _ofPull.WasUsed;

    /// <summary>A shard sets out, or waits to.</summary>
    public void Asked()
    {
        _ofPull.Begin();
        ofPeer.Begin();
        if (Interlocked.Increment(ref _asked) == 1)
        {
            Touch();
        }
    }

    /// <summary>A shard is there, or will not come. That is news too: a path that ends fetches is not silent.</summary>
    public void Answered()
    {
        Touch();
        Interlocked.Decrement(ref _asked);
        _ofPull.End();
        ofPeer.End();
    }

    public void Received(int bytes)
    {
        Touch();
        metrics.Received(name, bytes);
    }

    public void Carried(int bytes)
    {
        _ofPull.Carried(bytes);
        ofPeer.Carried(bytes);
    }

    /// <param name="reason">A word of <see cref="FailureReasons"/>.</param>
    public void Failed(string reason)
    {
        _ofPull.Failed(reason);
        ofPeer.Failed(reason);
        metrics.Failed(name, reason);
    }

    /// <summary>Whether fetches wait and no byte has come for this long.</summary>
    public bool IsSilent(TimeSpan duration) => Volatile.Read(ref _asked) > 0 && time.GetElapsedTime(Interlocked.Read(ref _lastByte)) > duration;

    public PathReport Report() => _ofPull.Report(name);

    private void Touch() => Interlocked.Exchange(ref _lastByte, time.GetTimestamp());
}
