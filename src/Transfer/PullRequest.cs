using P2PWeights.Store;
using P2PWeights.Store.Content;

namespace P2PWeights.Transfer;

/// <summary>A set of shards to pull.</summary>
/// <param name="Manifest">The swarm's manifest.</param>
/// <param name="Wanted">Ordinals of the shards wanted.</param>
/// <param name="Target">Where the shards are to stay.</param>
public sealed record PullRequest(Manifest Manifest, IReadOnlyList<int> Wanted, ShardTarget Target)
{
    /// <summary>
    /// For whoever uses the shards while they come: they are asked for in the order of <see cref="Wanted"/>, about this many bytes ahead of the first that is missing (more only as
    /// long as a source would have nothing to do otherwise), so that the next ones needed are not the last to arrive. 0 for all at once, the rarest first, which is best for the swarm.
    /// </summary>
    public long LookAheadBytes { get; init; }

    /// <summary>Where the pull's report is to be seen while it runs, and after it failed; null when nobody looks.</summary>
    public PullWatch? Watch { get; init; }
}

/// <summary>Shows what a pull has done so far, a few times a second. Written by the pull; read from any thread.</summary>
public sealed class PullWatch
{
    private volatile PullReport? _report;

    /// <summary>The newest report; null before there is one. The last one stays, however the pull ended.</summary>
    public PullReport? Report
    {
        get => _report;
        internal set => _report = value;
    }
}

/// <summary>How far a pull is.</summary>
/// <param name="BytesDone">Verified bytes, those found in the store included.</param>
/// <param name="BytesTotal">Bytes wanted.</param>
/// <param name="BytesFetched">Bytes that came from peers so far, verified or not.</param>
/// <param name="ShardsDone">Shards verified.</param>
/// <param name="ShardsTotal">Shards wanted.</param>
/// <param name="Sources">Peers that are being fetched from.</param>
/// <param name="Stage"><c>fetching</c>; or <c>checking</c> while what lies in the target folder is hashed, when <paramref name="BytesDone"/> counts what was looked at, right or wrong.</param>
/// <param name="Paths">What of <paramref name="BytesFetched"/> each path carried, in the order of the settings, paths without any left out; null before the transfer began.</param>
public sealed record PullProgress(
    long BytesDone, long BytesTotal, long BytesFetched, int ShardsDone, int ShardsTotal, int Sources, string Stage = PullStages.Fetching,
    IReadOnlyList<PathBytes>? Paths = null);

/// <summary>Bytes that came by one path.</summary>
/// <param name="Path">The path's word.</param>
/// <param name="Bytes">Bytes, verified or not.</param>
public sealed record PathBytes(string Path, long Bytes);

/// <summary>The words of <see cref="PullProgress.Stage"/>.</summary>
public static class PullStages
{
    public const string Checking = "checking";
    public const string Fetching = "fetching";
}
