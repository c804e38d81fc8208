namespace P2PWeights.Transfer;

/// <summary>What a pull did, or has done so far.</summary>
/// <param name="BytesTotal">Bytes wanted.</param>
/// <param name="BytesReused">Bytes found in the store or folder and not fetched.</param>
/// <param name="BytesFetched">Verified bytes that came from peers, adopted ones included.</param>
/// <param name="BytesWasted">Bytes received that did not become a shard: wrong, partial, or a hedge that lost.</param>
/// <param name="Elapsed">Wall time.</param>
/// <param name="Sources">The peers that had a part in it, with the paths used.</param>
/// <param name="Limit">What the pull waited for most; null when nothing had to be transferred.</param>
public sealed record PullReport(
    long BytesTotal, long BytesReused, long BytesFetched, long BytesWasted, TimeSpan Elapsed, IReadOnlyList<SourceReport> Sources, PullLimit? Limit = null)
{
    /// <summary>What each path carried, over all sources; the one with the most bytes first. <see cref="PathReport.Active"/> is the sum over the sources.</summary>
    public IReadOnlyList<PathReport> Paths() =>
    [
        .. Sources.SelectMany(source => source.Paths).GroupBy(path => path.Path).Select(same => new PathReport(
            same.Key,
            same.Sum(path => path.Shards),
            same.Sum(path => path.Bytes),
            new TimeSpan(same.Sum(path => path.Active.Ticks)),
            same.SelectMany(path => path.Failures).GroupBy(failure => failure.Key).ToDictionary(reason => reason.Key, reason => reason.Sum(failure => failure.Value))))
        .OrderByDescending(path => path.Bytes),
    ];
}

/// <summary>One source's part in a pull.</summary>
/// <param name="Peer">Node id.</param>
/// <param name="Name">Name for people.</param>
/// <param name="Shards">Verified shards.</param>
/// <param name="Bytes">Verified bytes.</param>
/// <param name="Failures">Fetches that gave no shard, stalls included; a peer that was busy did not fail.</param>
/// <param name="Stalls">Fetches given up because no byte came in time.</param>
/// <param name="Retries">Shards that it was asked for after somebody, or it itself, had failed to give them.</param>
/// <param name="Hedges">Last shards that it was asked for a second time, because the first source was slow.</param>
/// <param name="Banned">Why this source was banned, or null.</param>
/// <param name="Paths">The paths used, tried ones included, in the order of the settings.</param>
public sealed record SourceReport(
    Guid Peer, string Name, int Shards, long Bytes, int Failures, int Stalls, int Retries, int Hedges, string? Banned, IReadOnlyList<PathReport> Paths)
{
    /// <summary>The word of the path that carried most; <c>-</c> when none was used.</summary>
    public string MainPath() => Paths.MaxBy(path => path.Bytes)?.Path ?? "-";
}

/// <summary>What one path carried.</summary>
/// <param name="Path">The path's word; see <see cref="PathNames"/>.</param>
/// <param name="Shards">Verified shards.</param>
/// <param name="Bytes">Verified bytes.</param>
/// <param name="Active">How long at least one shard was on its way.</param>
/// <param name="Failures">Fetches that gave no shard, and parts of the path that were lost while the rest went on, by reason; see <see cref="FailureReasons"/>.</param>
public sealed record PathReport(string Path, int Shards, long Bytes, TimeSpan Active, IReadOnlyDictionary<string, int> Failures);

/// <summary>What a pull waited for most, as measured.</summary>
/// <param name="Term">The word of the stage; see <see cref="PullTerms"/>.</param>
/// <param name="Path">With <see cref="PullTerms.Wire"/>: the path.</param>
/// <param name="Share">The part of the pull's time that it held, 0 to 1.</param>
/// <param name="Text">A clause for people, with the numbers.</param>
/// <param name="Help">What would make the pull faster.</param>
/// <param name="WindowFull">The part of the time in which the pull's window had no room for another shard, 0 to 1.</param>
/// <param name="Stages">Every stage in which time was spent, the one that held most first.</param>
public sealed record PullLimit(string Term, string? Path, double Share, string Text, string Help, double WindowFull, IReadOnlyList<StageReport> Stages);

/// <summary>One stage of a pull.</summary>
/// <param name="Term">See <see cref="PullTerms"/>.</param>
/// <param name="Path">With <see cref="PullTerms.Wire"/>: the path.</param>
/// <param name="Shards">Shards in it on average over the pull's time (Little's law: their rate times how long each stays); 0 for stages that hold none.</param>
/// <param name="Share">The part of the pull's time that it held, 0 to 1.</param>
public sealed record StageReport(string Term, string? Path, double Shards, double Share);

/// <summary>The words of <see cref="PullLimit.Term"/>.</summary>
public static class PullTerms
{
    /// <summary>Sources are being called, or have not told yet what they hold: the first moments of a pull.</summary>
    public const string Connect = "connect";

    /// <summary>Nobody who is up holds what is missing.</summary>
    public const string Source = "source";

    /// <summary>The sources have no free upload slot.</summary>
    public const string Slots = "slots";

    /// <summary>The sources failed and are not asked for a while.</summary>
    public const string PutOff = "put-off";

    /// <summary>A path is being opened, or another shard is proving it.</summary>
    public const string Proof = "proof";

    /// <summary>The store makes room.</summary>
    public const string Room = "room";

    /// <summary>Shards are on their way from a peer, by a path.</summary>
    public const string Wire = "wire";

    /// <summary>The node's own cap on what it receives.</summary>
    public const string DownloadCap = "download-cap";

    /// <summary>Shards are hashed and stored.</summary>
    public const string Verify = "verify";

    /// <summary>Shards that the node held are copied into the folder.</summary>
    public const string Copy = "copy";

    /// <summary>Another pull of this node is fetching the same shards.</summary>
    public const string OtherPull = "other-pull";
}
