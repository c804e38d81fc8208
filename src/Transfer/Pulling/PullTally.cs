namespace P2PWeights.Transfer.Pulling;

/// <summary>What a pull has done so far, in numbers. Owned by the pull's loop, except for the received bytes, which many threads add to.</summary>
internal sealed class PullTally(long bytesTotal, int shardsTotal, IReadOnlyList<string> paths)
{
    private readonly long[] _received = new long[paths.Count];
    private long _reusedBytes;
    private long _fetchedBytes;
    private int _shardsDone;

    /// <summary>Bytes that came from peers, verified or not.</summary>
    public long ReceivedBytes => Enumerable.Range(0, _received.Length).Sum(ReceivedBy);

    /// <summary>Verified bytes that came from peers.</summary>
    public long FetchedBytes => _fetchedBytes;

    public void Received(int path, int bytes) => Interlocked.Add(ref _received[path], bytes);

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

    public PullProgress Progress(int sources) => new(_reusedBytes + _fetchedBytes, bytesTotal, ReceivedBytes, _shardsDone, shardsTotal, sources, Paths: ByPath());

    /// <param name="settled">Bytes received by fetches that have ended: of the others nobody knows yet whether they become shards.</param>
    public PullReport Report(TimeSpan elapsed, IEnumerable<PullSource> sources, PullLimit? limit, long settled) => new(
        bytesTotal, _reusedBytes, _fetchedBytes, Math.Max(0, settled - _fetchedBytes), elapsed, [.. sources.Where(s => s.WasUsed).Select(s => s.Report())], limit);

    private IReadOnlyList<PathBytes> ByPath() => [.. paths.Select((path, index) => new PathBytes(path, ReceivedBy(index))).Where(path => path.Bytes > 0)];

    private long ReceivedBy(int path) => Interlocked.Read(ref _received[path]);
}
