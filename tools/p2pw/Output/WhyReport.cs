using P2PWeights.Client;
using P2PWeights.Transfer;

namespace P2PWeights.Cli.Output;

/// <summary>An explained pull as people read it.</summary>
internal static class WhyReport
{
    public static void Write(TextWriter text, PullExplanation pull)
    {
        var progress = pull.Progress;
        text.WriteLine(
            $"pull of {pull.Checkpoint} {(pull.Folder is null ? "into the node's tiers" : $"to {pull.Folder}")}: {State(pull)} {Format.Time(pull.Elapsed)}, "
            + Format.Invariant($"begun {pull.StartedAt.UtcDateTime:yyyy-MM-dd HH:mm:ss'Z'}"));
        if (pull.Failure is not null)
            text.WriteLine($"  failure  {pull.Failure.ReplaceLineEndings(" ")}");
        text.WriteLine($"  content  {Format.Bytes(progress.BytesDone)} of {Format.Bytes(progress.BytesTotal)} verified, {progress.ShardsDone} of {Format.Count(progress.ShardsTotal, "shard")}");
        if (pull.Transfer is { } transfer)
            text.WriteLine($"  bytes    {Format.Bytes(transfer.BytesFetched)} from peers, {Format.Bytes(transfer.BytesReused)} were here already, {Format.Bytes(transfer.BytesWasted)} wasted");
        text.WriteLine($"  time     {string.Join(", ", pull.Phases.Select(phase => $"{phase.Name} {Format.Time(phase.Elapsed)}"))}");
        Write(text, pull.Limit);
        if (pull.Transfer is { Sources.Count: > 0 } moved)
        {
            text.WriteLine();
            PathTexts.Table(moved).Write(text, "  ");
        }

        if (pull.Limit is { Stages.Count: > 0 } limit)
        {
            text.WriteLine();
            var table = new TextTable("stage", "path", ">avg shards under way", ">time", "");
            foreach (var stage in limit.Stages)
                table.Add(stage.Term, stage.Path ?? "-", Format.Invariant($"{stage.Shards:0.0}"), Percent(stage.Share), Meaning(stage.Term));
            table.Write(text, "  ");
            if (limit.WindowFull > 0)
                text.WriteLine($"  The window over all sources was full {Percent(limit.WindowFull)} of the time.");
        }
    }

    /// <summary>The line that says what the pull waited for, and what would help.</summary>
    public static void Write(TextWriter text, PullLimit? limit)
    {
        text.WriteLine($"  limit    {limit?.Text ?? "nothing had to be transferred"}");
        if (limit is not null)
            text.WriteLine($"           {limit.Help}");
    }

    private static string State(PullExplanation pull) => pull.State switch
    {
        PullState.Running => "running for",
        PullState.Done => "done in",
        PullState.Failed => "failed after",
        _ => "cancelled after",
    };

    private static string Percent(double share) => Format.Invariant($"{100 * share:0} %");

    private static string Meaning(string term) => term switch
    {
        PullTerms.Wire => "on the way from a peer",
        PullTerms.Verify => "hashed and stored",
        PullTerms.Room => "waiting for room in the store",
        PullTerms.Proof => "waiting for a path to open, or to prove itself",
        PullTerms.Copy => "copied from the store into the folder",
        PullTerms.OtherPull => "fetched by another pull of the node",
        PullTerms.Connect => "sources being called",
        PullTerms.Source => "nobody to ask",
        PullTerms.Slots => "sources without a free upload slot",
        PullTerms.PutOff => "sources that failed, not asked for a while",
        _ => "",
    };
}
