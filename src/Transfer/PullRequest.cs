using P2PWeights.Store.Content;
using P2PWeights.Store.Folders;

namespace P2PWeights.Transfer;

/// <summary>A set of shards to pull.</summary>
/// <param name="Manifest">The swarm's manifest.</param>
/// <param name="Wanted">Ordinals of the shards wanted.</param>
/// <param name="Folder">Where the shards become files; null for the tiers only.</param>
public sealed record PullRequest(Manifest Manifest, IReadOnlyList<int> Wanted, CheckpointFolder? Folder);

/// <summary>How far a pull is.</summary>
/// <param name="BytesDone">Verified bytes, those found in the store included.</param>
/// <param name="BytesTotal">Bytes wanted.</param>
/// <param name="BytesFetched">Bytes received from peers so far, verified or not.</param>
/// <param name="ShardsDone">Shards verified.</param>
/// <param name="ShardsTotal">Shards wanted.</param>
/// <param name="Sources">Peers that are being fetched from.</param>
/// <param name="Stage"><c>fetching</c>; or <c>checking</c> while what lies in the target folder is hashed, when <paramref name="BytesDone"/> counts what was looked at, right or wrong.</param>
public sealed record PullProgress(
    long BytesDone, long BytesTotal, long BytesFetched, int ShardsDone, int ShardsTotal, int Sources, string Stage = PullStages.Fetching);

/// <summary>The words of <see cref="PullProgress.Stage"/>.</summary>
public static class PullStages
{
    public const string Checking = "checking";
    public const string Fetching = "fetching";
}

/// <summary>What a pull did.</summary>
/// <param name="BytesTotal">Bytes wanted.</param>
/// <param name="BytesReused">Bytes found in the store or folder and not fetched.</param>
/// <param name="BytesFetched">Verified bytes fetched from peers.</param>
/// <param name="BytesWasted">Bytes received that did not become a shard: wrong, partial, or a hedge that lost.</param>
/// <param name="Elapsed">Wall time.</param>
/// <param name="Sources">Per source and path.</param>
public sealed record PullReport(long BytesTotal, long BytesReused, long BytesFetched, long BytesWasted, TimeSpan Elapsed, IReadOnlyList<SourceReport> Sources);

/// <summary>One source's part in a pull.</summary>
/// <param name="Peer">Node id.</param>
/// <param name="Name">Name for people.</param>
/// <param name="Path">The path used: <c>tcp</c>, ...</param>
/// <param name="Shards">Verified shards.</param>
/// <param name="Bytes">Verified bytes.</param>
/// <param name="Failures">Fetches that failed, stalls included.</param>
/// <param name="Stalls">Fetches given up because no byte came in time.</param>
/// <param name="Banned">Why this source was banned, or null.</param>
public sealed record SourceReport(Guid Peer, string Name, string Path, int Shards, long Bytes, int Failures, int Stalls, string? Banned);

/// <summary>State of one peer, for <c>p2pw peers</c>.</summary>
/// <param name="Peer">Who.</param>
/// <param name="Connected">Whether a session is up.</param>
/// <param name="Path">The path in use, or null.</param>
/// <param name="BytesReceived">Verified bytes fetched from it since the start.</param>
/// <param name="Banned">Why it is banned, or null.</param>
/// <param name="BannedUntil">Until when.</param>
public sealed record PeerStatus(PeerInfo Peer, bool Connected, string? Path, long BytesReceived, string? Banned, DateTimeOffset? BannedUntil);
