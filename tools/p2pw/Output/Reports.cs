using System.Globalization;
using P2PWeights.Cli.Doctor;
using P2PWeights.Client;
using P2PWeights.Tracker;
using P2PWeights.Transfer;

namespace P2PWeights.Cli.Output;

/// <summary>Results as people read them.</summary>
internal static class Reports
{
    /// <summary>Tensors that are named; JSON has a hundred.</summary>
    private const int NamesShown = 10;

    public static void Write(TextWriter text, PublishReport report)
    {
        text.WriteLine(report.AlreadyPublished ? $"{report.Checkpoint} was published already, with the same content" : $"published {report.Checkpoint}");
        text.WriteLine($"  manifest  {report.Manifest}");
        var shards = $"{Format.Count(report.Shards, "shard")} ({report.NewShards} new here)";
        var hashing = $"hashing {Format.Time(report.HashElapsed)} ({Format.Rate(Format.PerSecond(report.Bytes, report.HashElapsed))})";
        text.WriteLine($"  content   {Format.Bytes(report.Bytes)} in {Format.Count(report.Files, "file")}, {Format.Count(report.Tensors, "tensor")}, {shards}");
        text.WriteLine($"  time      {Format.Time(report.Elapsed)}, of it {hashing}");
    }

    public static void Write(TextWriter text, CheckpointPullReport report)
    {
        var transfer = report.Transfer;
        text.WriteLine($"pulled {report.Checkpoint} {(report.Gpu is { } gpu ? $"onto GPU {gpu}" : report.Folder is null ? "into the node's tiers" : $"to {report.Folder}")}");
        text.WriteLine($"  manifest  {report.Manifest}");
        // What the tiers take over from a node of this host stays where it is, or goes from GPU to GPU, and is hashed when it is first wanted.
        var isTakenOver = report.Folder is null
            && transfer.Paths().Any(path => path.Bytes > 0 && (path.Path == PathNames.Nvlink || (path.Path == PathNames.Local && report.Gpu is null)));
        text.WriteLine($"  content   {Format.Bytes(transfer.BytesTotal)} in {Format.Count(report.Files, "file")}, every byte verified{(isTakenOver ? " before it is first read" : "")}");
        text.WriteLine($"  bytes     {Format.Bytes(transfer.BytesFetched)} fetched, {Format.Bytes(transfer.BytesReused)} were here already, {Format.Bytes(transfer.BytesWasted)} wasted");
        text.WriteLine($"  time      {Format.Time(transfer.Elapsed)} ({Format.Rate(Format.PerSecond(transfer.BytesTotal, transfer.Elapsed))})");
        if (transfer.Sources.Count == 0)
            return;
        text.WriteLine($"  paths     {string.Join(", ", transfer.Paths().Where(path => path.Bytes > 0).Select(path => $"{path.Path} {Format.Share(path.Bytes, transfer.BytesFetched)} ({Format.Bytes(path.Bytes)})"))}");
        if (transfer.Limit is { } limit)
            text.WriteLine($"  limit     {limit.Text}");
        PathTexts.Table(transfer).Write(text, "  ");
    }

    public static void Write(TextWriter text, UpdateReport report)
    {
        var updated = report.Engines.Count(engine => engine.State == EngineStates.Updated);
        text.WriteLine($"{(report.Cancelled ? "cancelled: " : report.Failure is not null ? "broken off: " : "")}updated {updated} of {Format.Count(report.Engines.Count, "engine")} with {report.Checkpoint}");
        text.WriteLine($"  manifest  {report.Manifest}");
        text.WriteLine($"  content   {Format.Bytes(report.Bytes)} in {Format.Count(report.Tensors, "tensor")}, {Format.Count(report.Buckets, "bucket")}");
        text.WriteLine(
            $"  slots     {report.Slots} of {Format.Bytes(report.SlotBytes)} on {Format.Count(report.Devices, "device")}{(report.Slots == 1 ? ", so that nothing overlaps" : "")}; broadcast by {report.Broadcast}");
        text.WriteLine($"  time      {Format.Time(report.Elapsed)}{(updated > 0 ? $" ({Format.Rate(report.BytesPerSecond())} of model), most of it {report.Limit().Name}" : "")}");
        text.WriteLine($"  stages    {string.Join(", ", report.Stages.Select(stage => $"{stage.Name} {Format.Time(stage.Busy)}"))}");
        if (report.Pull is { } pull)
            text.WriteLine($"  pulled    {Format.Bytes(pull.BytesFetched)}: {string.Join(", ", pull.Paths().Where(path => path.Bytes > 0).Select(path => $"{path.Path} {Format.Bytes(path.Bytes)}"))}");
        if (report.VerifyElapsed is { } spent)
            text.WriteLine($"  verified  {report.Engines.Count(engine => engine.Verification?.Outcome == VerificationOutcomes.Verified)} of {Format.Count(report.Engines.Count, "engine")} by reading back, in {Format.Time(spent)}");
        foreach (var engine in report.Engines)
        {
            var buckets = engine.State == EngineStates.Torn ? $" (a rank has loaded {engine.Ranks.Max(rank => rank.BucketsLoaded)} of {report.Buckets} buckets: update it again before it serves)" : "";
            text.WriteLine($"  {engine.State,-9} {engine.Name} on {string.Join(", ", engine.Ranks.Select(rank => rank.Device))}{buckets}");
            if (engine.Reason is { } reason)
                text.WriteLine($"            {reason}");
            foreach (var line in engine.Traceback?.ReplaceLineEndings("\n").TrimEnd().Split('\n') ?? [])
                text.WriteLine($"            | {line}");
            if (engine.Verification is { } verification)
                Write(text, verification, report.Tensors);
        }
    }

    private static void Write(TextWriter text, EngineVerification verification, int tensors)
    {
        text.WriteLine($"            {verification.Outcome}: {verification.Equal} of {Format.Count(tensors, "tensor")}, read back, {(verification.Equal == 1 ? "is" : "are")} the checkpoint's");
        foreach (var (what, names) in new[] { ("other bytes", verification.Differing), ("not held", verification.Missing) }.Where(part => part.Item2.Count > 0))
            text.WriteLine($"            {what}: {string.Join(", ", names.First.Take(NamesShown))}{(names.Count > NamesShown ? $" and {names.Count - NamesShown} more" : "")}");
        if (verification.Reason is { } reason)
            text.WriteLine($"            {reason}");
    }

    public static void Write(TextWriter text, CheckpointDetails details, bool tensors)
    {
        var info = details.Info;
        text.WriteLine($"{info.Name}@{info.Version}{(info.Tags.IsDefaultOrEmpty ? "" : $"  ({string.Join(", ", info.Tags)})")}");
        text.WriteLine($"  manifest   {info.Manifest}");
        text.WriteLine(Format.Invariant($"  published  {info.PublishedAt.UtcDateTime:yyyy-MM-dd HH:mm:ss'Z'}"));
        var shards = $"{Format.Count(info.Shards, "shard")} of at most {Format.Bytes(details.MaxShardBytes)}";
        text.WriteLine($"  content    {Format.Bytes(info.Bytes)} in {Format.Count(info.Files, "file")}, {Format.Count(details.Tensors.Count, "tensor")}, {shards}");
        var passing = info.CompletePeers - info.LastingCopies;
        text.WriteLine(
            $"  available  {Format.Share(info.AvailableShards, info.Shards)} of the shards; {Format.Count(info.CompletePeers, "node")} with a whole copy"
            + (passing > 0 ? $", {passing} of them only until its command ends" : ""));
        foreach (var (key, value) in details.Metadata)
            text.WriteLine($"  {key} = {value}");
        text.WriteLine();
        var files = new TextTable("file", ">size", ">shards");
        foreach (var file in details.Files)
            files.Add(file.Path, Format.Bytes(file.Size), file.Shards.ToString(CultureInfo.InvariantCulture));
        files.Write(text, "  ");
        if (!tensors)
            return;
        text.WriteLine();
        var table = new TextTable("tensor", "dtype", "shape", ">size", "file");
        foreach (var tensor in details.Tensors)
            table.Add(tensor.Name, tensor.DType, $"[{string.Join(", ", tensor.Shape)}]", Format.Bytes(tensor.Length), tensor.File);
        table.Write(text, "  ");
    }

    public static void Write(TextWriter text, NodeStatus status)
    {
        text.WriteLine($"node {status.Name}, up {Format.Time(status.Uptime)}, version {status.Version}");
        text.WriteLine($"  id           {status.Id}");
        text.WriteLine($"  peers reach  {status.Endpoint}");
        text.WriteLine($"  tracker      {status.Tracker} ({(status.TrackerReachable ? "reachable" : "NOT reachable: running pulls go on, new ones cannot start")})");
        text.WriteLine($"  checkpoints  {status.Checkpoints}");
        text.WriteLine($"  served       {Format.Bytes(status.ServedBytes)} in {Format.Count(status.ServedShards, "shard")}");
        text.WriteLine();
        var tiers = new TextTable("tier", ">shards", ">bytes", ">quota");
        foreach (var tier in status.Tiers)
            tiers.Add(tier.Tier, tier.Shards.ToString(CultureInfo.InvariantCulture), Format.Bytes(tier.Bytes), tier.QuotaBytes > 0 ? Format.Bytes(tier.QuotaBytes) : "-");
        tiers.Write(text, "  ");
        foreach (var pull in status.Pulls)
        {
            var progress = pull.Progress;
            text.WriteLine(
                $"  pulling {pull.Checkpoint} {(pull.Folder is null ? "into the tiers" : $"to {pull.Folder}")}: "
                + $"{Format.Share(progress.BytesDone, progress.BytesTotal)} of {Format.Bytes(progress.BytesTotal)} from {Format.Count(progress.Sources, "peer")}"
                + (progress.Paths is { Count: > 0 } paths ? $" by {PathTexts.Shares(paths)}" : ""));
        }
    }

    public static void Write(TextWriter text, TrackerStatus status)
    {
        text.WriteLine($"tracker, up {Format.Time(status.Uptime)}, version {status.Version}");
        text.WriteLine($"  checkpoints  {status.Checkpoints} ({status.Staged} staged)");
        text.WriteLine($"  peers        {status.Peers}");
        text.WriteLine($"  shards       {status.DistinctShards}");
        text.WriteLine($"  syncs        {status.Syncs}");
        text.WriteLine($"  epoch        {status.Epoch}");
    }

    public static void Write(TextWriter text, string folder, VerifyReport report)
    {
        if (report.Differences.Count == 0)
        {
            text.WriteLine($"{folder} is {report.Checkpoint}: {Format.Count(report.Files, "file")}, {Format.Bytes(report.Bytes)}, every byte equal");
            return;
        }

        text.WriteLine($"{folder} is not {report.Checkpoint}: {Format.Count(report.Differences.Count, "difference")}");
        foreach (var difference in report.Differences)
            text.WriteLine($"  {difference.Path}: {difference.Detail}");
    }

    public static void Write(TextWriter text, NodeScrubReport report)
    {
        var verdict = report.Wrong.Count == 0 ? "all as they should be" : $"{report.Wrong.Count} wrong";
        text.WriteLine($"hashed {Format.Count(report.Checked, "replica")}, {Format.Bytes(report.Bytes)}: {verdict}");
        foreach (var wrong in report.Wrong)
            text.WriteLine($"  {wrong}");
        if (report.Wrong.Count > 0)
            text.WriteLine($"  {report.Repaired} fetched again from peers, {report.Unrepaired} that no peer could give");
    }

    public static void Write(TextWriter text, IReadOnlyList<Finding> findings)
    {
        var table = new TextTable("", "check", "");
        foreach (var finding in findings)
        {
            var verdict = finding.Outcome switch
            {
                Outcome.Ok => "ok",
                Outcome.Warning => "warn",
                Outcome.Failure => "FAIL",
                _ => "-",
            };
            table.Add(verdict, finding.Check, finding.Detail);
        }

        table.Write(text);
    }
}
