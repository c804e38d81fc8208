using P2PWeights.Cli.Output;

namespace P2PWeights.Cli.Watching;

/// <summary>A look at a swarm, as text and as a document.</summary>
internal static class SwarmTexts
{
    /// <summary>The line on top: how far the swarm is, and what the bound is.</summary>
    public static string Summary(SwarmTick tick)
    {
        var status = tick.Status;
        var others = status.Peers - status.CompletePeers - status.PullingPeers;
        var counts = $"{Format.Count(status.Peers, "node")}: {status.CompletePeers} complete, {status.PullingPeers} pulling{(others > 0 ? $", {others} with parts" : "")}";
        var line = $"{status.Checkpoint}  {Format.Bytes(status.Bytes)}  {counts}";
        if (status.AvailableShards < status.Shards)
        {
            line += $"  {status.Shards - status.AvailableShards} of {Format.Count(status.Shards, "shard")} held by nobody";
        }

        if (status.PullingPeers == 0)
        {
            return line;
        }

        if (tick.Bound is not { } bound)
        {
            return $"{line}  no rate measured yet";
        }

        var source = tick.IsGiven ? "as given" : "the best rate seen";
        line += $"  bound {Format.Time(bound)} ({Format.Bytes(tick.MissingBytes)} missing at {Format.Rate(tick.PossibleBytesPerSecond)}, {source})";
        return tick.Expected is { } expected
            ? $"{line}, at the rates of now {Format.Time(expected)}{(bound > TimeSpan.Zero ? Format.Invariant($": {expected / bound:0.0} x the bound") : "")}"
            : $"{line}, and not all nodes move";
    }

    public static void WriteTable(TextWriter text, SwarmTick tick)
    {
        if (tick.Rows.Count == 0)
        {
            return;
        }

        var table = new TextTable("node", ">progress", ">bytes", ">rate", "path", ">sending", ">remaining", ">x bound", ">seen");
        foreach (var row in tick.Rows)
        {
            var member = row.Member;
            table.Add(
                member.Name,
                row.Fraction >= 1 ? "100 %" : Format.Invariant($"{Math.Min(99, 100 * row.Fraction):0} %"),
                member.Pulling ? Format.Bytes(member.BytesDone) : "-",
                member.Pulling ? Format.Rate(member.BytesPerSecond) : "-",
                member.Path.Length > 0 ? member.Path : "-",
                Format.Rate(member.LoadBytesPerSecond),
                row.Remaining is { } remaining ? Format.Time(remaining) : "-",
                row.OverBound is { } over ? Format.Invariant($"{over:0.0}") : "-",
                $"{Format.Time(TimeSpan.FromMilliseconds(member.AgeMs))} ago");
        }

        table.Write(text);
        if (tick.Rows.Count < tick.Status.Peers)
        {
            text.WriteLine($"and {tick.Status.Peers - tick.Rows.Count} more, which have less left to pull");
        }
    }

    public static object Document(SwarmTick tick) => new
    {
        tick.Status.Checkpoint,
        Manifest = tick.Status.Manifest.ToString(),
        ElapsedSeconds = Format.Seconds(tick.At),
        tick.Status.Bytes,
        tick.Status.Shards,
        tick.Status.AvailableShards,
        tick.Status.Peers,
        tick.Status.CompletePeers,
        tick.Status.PullingPeers,
        BoundBytesPerSecond = tick.PossibleBytesPerSecond,
        BoundFrom = tick.IsGiven ? "given" : "best_seen",
        tick.MissingBytes,
        BoundSeconds = Seconds(tick.Bound),
        ExpectedSeconds = Seconds(tick.Expected),
        tick.IsOver,
        Nodes = tick.Rows.Select(Row),
    };

    private static object Row(SwarmRow row) => new
    {
        row.Member.Id,
        row.Member.Name,
        row.Member.Shards,
        row.Member.Pulling,
        row.Member.BytesDone,
        row.Member.BytesTotal,
        Fraction = Math.Round(row.Fraction, 4),
        row.Member.BytesPerSecond,
        row.Member.Path,
        row.Member.LoadBytesPerSecond,
        RemainingSeconds = Seconds(row.Remaining),
        OverBound = row.OverBound is { } over ? Math.Round(over, 2) : (double?)null,
        AgeSeconds = row.Member.AgeMs / 1000.0,
    };

    private static double? Seconds(TimeSpan? time) => time is { } known ? Format.Seconds(known) : null;
}
