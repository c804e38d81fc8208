namespace P2PWeights.Transfer.Pulling;

/// <summary>What a pull has done so far, in numbers. Owned by the pull's loop, except for the received bytes, which many threads add to.</summary>
internal sealed class PullTally(long bytesTotal, int shardsTotal)
{
    private long _received;
    private long _reusedBytes;
    private long _fetchedBytes;
    private int _shardsDone;

    /// <summary>Bytes received from peers, verified or not.</summary>
    public long ReceivedBytes => Interlocked.Read(ref _received);

    public void Received(int bytes) => Interlocked.Add(ref _received, bytes);

    public void Reused(int bytes)
    {
        _reusedBytes += bytes;
        _shardsDone++;
    }

    public void Fetched(int bytes)
    {
        _fetchedBytes += bytes;
        _shardsDone++;
    }

    public PullProgress Progress(int sources) => new(_reusedBytes + _fetchedBytes, bytesTotal, ReceivedBytes, _shardsDone, shardsTotal, sources);

    public PullReport Report(TimeSpan elapsed, IEnumerable<PullSource> sources) => new(
        bytesTotal, _reusedBytes, _fetchedBytes, Math.Max(0, ReceivedBytes - _fetchedBytes), elapsed, [.. sources.Where(s => s.WasUsed).Select(s => s.Report())]);
}
