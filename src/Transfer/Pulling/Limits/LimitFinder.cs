using System.Globalization;

namespace P2PWeights.Transfer.Pulling.Limits;

/// <summary>Says in words what a pull waited for most. Pure.</summary>
internal static class LimitFinder
{
    /// <summary>A node that received this part of what its cap allows was held by the cap.</summary>
    private const double CapReached = 0.8;

    /// <param name="stages">Of <see cref="StageClock.Report"/>: the one that held most first.</param>
    /// <param name="receivedPerSecond">What the node received in that time, over all its pulls, on paths that the cap counts.</param>
    /// <param name="cap">The node's cap in bytes per second; 0 for none.</param>
    /// <returns>Null when no time was spent.</returns>
    public static PullLimit? Find(IReadOnlyList<StageReport> stages, double windowFull, double receivedPerSecond, long cap)
    {
        if (stages.Count == 0)
        {
            return null;
        }

        var first = stages[0];
        var isCapped = first is { Term: PullTerms.Wire, Path: { } path } && PathNames.IsCapped(path) && cap > 0 && receivedPerSecond >= CapReached * cap;
        var term = isCapped ? PullTerms.DownloadCap : first.Term;
        var underWay = stages.Sum(stage => stage.Shards);
        var (what, help) = Words(term, first.Path, windowFull);
        var numbers = first.Shards > 0
            ? Text($"{first.Shards:0.0} of {underWay:0.0} shards under way on average, {first.Share:P0} of the time")
            : Text($"{first.Share:P0} of the time");
        if (term == PullTerms.DownloadCap)
        {
            numbers = Text($"{receivedPerSecond / 1e6:0} of {cap / 1e6:0} MB/s received");
        }

        return new PullLimit(term, first.Path, first.Share, $"{what}: {numbers}", help, windowFull, stages);
    }

    private static (string What, string Help) Words(string term, string? path, double windowFull) => term switch
    {
        PullTerms.Wire when path == PathNames.Local => (
            "taking the shards from the peer on this host (local)",
            "memory bandwidth or the disk under the files is the limit; pull into the tiers instead of a folder, and nothing is copied at all"),
        PullTerms.Wire when path == PathNames.Nvlink => (
            "copies from GPU to GPU (nvlink)",
            "the link between the GPUs is the limit: `p2pw doctor` tells whether they reach each other without the host's memory"),
        PullTerms.Wire when windowFull > 0.5 => (
            $"network ({path})",
            "the link, or what the sources send, is the limit; the window of the pull was full, so more sources would only share it"),
        PullTerms.Wire => (
            $"network ({path})",
            "the link, or what the sources can send, is the limit; more sources or a faster path help, `p2pw peers` shows each one's rate"),
        PullTerms.DownloadCap => ("the node's cap on what it receives", "raise --download-limit"),
        PullTerms.Connect => (
            "calling the sources",
            "nothing, when the pull is short: it does so once; else `p2pw peers` shows who cannot be reached"),
        PullTerms.Source => (
            "no source that is up holds what is missing",
            "keep the node that published it running until others hold it all; `p2pw show` tells how much is available, `p2pw peers` who can be reached"),
        PullTerms.Slots => ("the sources' upload slots are taken", "let more nodes hold the checkpoint, or start pulls one after another"),
        PullTerms.PutOff => ("sources failed and were not asked for a while", "the failures per source and path say why"),
        PullTerms.Proof => ("opening paths, and waiting for the first shard to prove one", "allow only the paths that can work: --paths"),
        PullTerms.Room => ("the store made room for shards", "a larger memory tier (--memory), or a faster disk under the tier or the folder"),
        PullTerms.Verify => ("hashing and storing", "more cores for hashing, or a faster disk under the tier or the folder"),
        PullTerms.Copy => ("copying shards that were here already to where they are wanted", "a faster disk under the folder, or a file system that can share blocks"),
        _ => ("another pull of this node fetches the same shards", "nothing: each shard is fetched once, for both"),
    };

    private static string Text(FormattableString text) => text.ToString(Numbers);

    /// <summary>Invariant numbers, with a percent sign as everywhere else: 92 %.</summary>
    private static readonly CultureInfo Numbers = MakeNumbers();

    private static CultureInfo MakeNumbers()
    {
        var culture = (CultureInfo)CultureInfo.InvariantCulture.Clone();
        culture.NumberFormat.PercentPositivePattern = 0;
        return culture;
    }
}
