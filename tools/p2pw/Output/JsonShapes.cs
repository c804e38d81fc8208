using System.Text.Encodings.Web;
using System.Text.Json;
using P2PWeights.Cli.Doctor;
using P2PWeights.Client;
using P2PWeights.Sim;
using P2PWeights.Store.Folders;
using P2PWeights.Tracker;
using P2PWeights.Transfer;

namespace P2PWeights.Cli.Output;

/// <summary>
/// The documents that <c>--json</c> prints, all in one place because scripts rely on them: keys are only ever added. Keys are snake_case; sizes are bytes,
/// times are seconds, digests are 64 hex digits.
/// </summary>
internal static class JsonShapes
{
    private static readonly JsonSerializerOptions Options = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        // Standard output is no HTML page: `+` and letters beyond ASCII stay as they are.
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    /// <summary>One line.</summary>
    public static string Write(object document) => JsonSerializer.Serialize(document, Options);

    public static object Of(SimReport report, TimeSpan took) => new
    {
        report.Options.Peers,
        report.Options.Shards,
        report.Options.Seed,
        BoundSeconds = Format.Seconds(report.Bound),
        LastOverBound = Ratio(report.LastOverBound),
        P99OverBound = Ratio(report.P99OverBound),
        P50OverBound = Ratio(report.P50OverBound),
        PublisherCopies = Ratio(report.PublisherCopies),
        Finished = report.Finishes.Count,
        report.BytesSent,
        report.BytesAcrossRacks,
        report.Hedges,
        report.Busy,
        report.Events,
        ElapsedSeconds = Format.Seconds(took),
    };

    private static string KindOf(NodeError error) => JsonNamingPolicy.SnakeCaseLower.ConvertName(error.ToString());

    private static double Ratio(double value) => Math.Round(value, 4);

    public static object Of(Failure failure) =>
        new { Error = KindOf(failure.Error), failure.ExitCode, failure.Message };

    public static object Of(PublishReport report) => new
    {
        report.Checkpoint,
        Manifest = report.Manifest.ToString(),
        report.AlreadyPublished,
        report.Files,
        report.Tensors,
        report.Shards,
        report.NewShards,
        report.Bytes,
        ElapsedSeconds = Format.Seconds(report.Elapsed),
        HashSeconds = Format.Seconds(report.HashElapsed),
    };

    public static object Of(CheckpointPullReport report) => new
    {
        report.Checkpoint,
        Manifest = report.Manifest.ToString(),
        report.Folder,
        report.Gpu,
        report.Files,
        Bytes = report.Transfer.BytesTotal,
        report.Transfer.BytesReused,
        report.Transfer.BytesFetched,
        report.Transfer.BytesWasted,
        ElapsedSeconds = Format.Seconds(report.Transfer.Elapsed),
        Sources = report.Transfer.Sources.Select(Of),
        Paths = report.Transfer.Paths().Select(Of),
        Limit = Of(report.Transfer.Limit),
    };

    public static object Of(UpdateReport report) => new
    {
        report.Checkpoint,
        Manifest = report.Manifest.ToString(),
        Complete = report.IsComplete(),
        report.Cancelled,
        Failure = report.Failure is { } failure ? new { Error = KindOf(failure.Error), failure.Message } : null,
        Verified = report.IsVerified(),
        report.Bytes,
        report.Tensors,
        report.Buckets,
        report.SlotBytes,
        report.Slots,
        report.Devices,
        report.Broadcast,
        ElapsedSeconds = Format.Seconds(report.Elapsed),
        VerifySeconds = report.VerifyElapsed is { } verifying ? Format.Seconds(verifying) : (double?)null,
        BytesPerSecond = report.BytesPerSecond(),
        Limit = report.Limit().Name,
        Stages = report.Stages.Select(stage => new { stage.Name, BusySeconds = Format.Seconds(stage.Busy) }),
        Engines = report.Engines.Select(engine => new
        {
            engine.Name,
            engine.State,
            engine.Reason,
            engine.Traceback,
            Ranks = engine.Ranks.Select(rank => new { rank.Device, rank.BucketsLoaded }),
            engine.Verification,
        }),
        Pull = report.Pull is null ? null : new { report.Pull.BytesFetched, report.Pull.BytesReused, Paths = report.Pull.Paths().Select(Of) },
    };

    public static object? Of(PullLimit? limit) => limit is null ? null : new
    {
        limit.Term,
        limit.Path,
        Share = Math.Round(limit.Share, 3),
        limit.Text,
        limit.Help,
        WindowFull = Math.Round(limit.WindowFull, 3),
        Stages = limit.Stages.Select(stage => new { stage.Term, stage.Path, Shards = Math.Round(stage.Shards, 2), Share = Math.Round(stage.Share, 3) }),
    };

    public static object Of(PullExplanation pull) => new
    {
        pull.Checkpoint,
        Manifest = pull.Manifest?.ToString(),
        pull.Folder,
        State = pull.State.ToString().ToLowerInvariant(),
        pull.StartedAt,
        ElapsedSeconds = Format.Seconds(pull.Elapsed),
        Phases = pull.Phases.Select(phase => new { phase.Name, Seconds = Format.Seconds(phase.Elapsed) }),
        pull.Progress.BytesDone,
        Bytes = pull.Progress.BytesTotal,
        pull.Progress.ShardsDone,
        Shards = pull.Progress.ShardsTotal,
        BytesReused = pull.Transfer?.BytesReused,
        BytesFetched = pull.Transfer?.BytesFetched,
        BytesWasted = pull.Transfer?.BytesWasted,
        Sources = pull.Transfer?.Sources.Select(Of) ?? [],
        Paths = pull.Transfer?.Paths().Select(Of) ?? [],
        Limit = Of(pull.Limit),
        pull.Failure,
    };

    public static object Of(SourceReport source) => new
    {
        source.Peer,
        source.Name,
        Path = source.MainPath(),
        source.Shards,
        source.Bytes,
        source.Failures,
        source.Stalls,
        source.Retries,
        source.Hedges,
        source.Banned,
        Paths = source.Paths.Select(Of),
    };

    public static object Of(PathReport path) => new
    {
        path.Path,
        path.Shards,
        path.Bytes,
        ActiveSeconds = Format.Seconds(path.Active),
        path.Failures,
    };

    public static object Of(CheckpointInfo info) => new
    {
        Checkpoint = $"{info.Name}@{info.Version}",
        info.Name,
        info.Version,
        Tags = info.Tags.AsEnumerable(),
        Manifest = info.Manifest.ToString(),
        info.Bytes,
        info.Files,
        info.Shards,
        info.PublishedAt,
        info.CompletePeers,
        info.AvailableShards,
        info.LastingCopies,
    };

    public static object Of(CheckpointDetails details, bool tensors) => new
    {
        Checkpoint = Of(details.Info),
        details.MaxShardBytes,
        details.Metadata,
        Files = details.Files.Select(file => new { file.Path, file.Size, file.Shards }),
        TensorCount = details.Tensors.Count,
        Tensors = tensors ? details.Tensors.Select(tensor => new { tensor.Name, Dtype = tensor.DType, tensor.Shape, tensor.File, tensor.Offset, tensor.Length }) : null,
    };

    public static object Of(PeerStatus peer) => new
    {
        peer.Peer.Id,
        peer.Peer.Name,
        Endpoints = peer.Peer.Endpoints.AsEnumerable(),
        peer.Connected,
        peer.Path,
        peer.BytesReceived,
        peer.Banned,
        peer.BannedUntil,
        Paths = peer.Paths.Select(path => new
        {
            path.Carried.Path,
            path.State,
            path.Carried.Shards,
            path.Carried.Bytes,
            BytesPerSecond = Math.Round(path.BytesPerSecond),
            ActiveSeconds = Format.Seconds(path.Carried.Active),
            path.Carried.Failures,
            path.Reason,
            path.Detail,
            path.RetryAt,
        }),
    };

    public static object Of(TrackedPeer peer) => new
    {
        peer.Peer.Id,
        peer.Peer.Name,
        Endpoints = peer.Peer.Endpoints.AsEnumerable(),
        peer.Peer.Labels,
        peer.Shards,
        peer.Swarms,
        AgeSeconds = peer.AgeMs / 1000.0,
        peer.LoadBytesPerSecond,
    };

    public static object Of(NodeStatus status) => new
    {
        status.Id,
        status.Name,
        status.Version,
        status.Endpoint,
        UptimeSeconds = Format.Seconds(status.Uptime),
        status.Tracker,
        status.TrackerReachable,
        Tiers = status.Tiers.Select(tier => new { tier.Tier, tier.Shards, tier.Bytes, tier.QuotaBytes }),
        status.Checkpoints,
        status.ServedShards,
        status.ServedBytes,
        Pulls = status.Pulls.Select(pull => new
        {
            pull.Checkpoint,
            pull.Folder,
            pull.Progress.BytesDone,
            pull.Progress.BytesTotal,
            pull.Progress.BytesFetched,
            pull.Progress.ShardsDone,
            pull.Progress.ShardsTotal,
            pull.Progress.Sources,
            Paths = pull.Progress.Paths?.Select(path => new { path.Path, path.Bytes }) ?? [],
        }),
    };

    public static object Of(TrackerStatus status) => new
    {
        status.Version,
        status.Epoch,
        UptimeSeconds = Format.Seconds(status.Uptime),
        status.Checkpoints,
        status.Staged,
        status.Peers,
        status.DistinctShards,
        status.Syncs,
    };

    public static object Of(VerifyReport report) => new
    {
        report.Checkpoint,
        Manifest = report.Manifest.ToString(),
        Equal = report.Differences.Count == 0,
        report.Files,
        report.Bytes,
        Differences = report.Differences.Select(Of),
    };

    public static object Of(FolderDifference difference) => new
    {
        difference.Path,
        Kind = JsonNamingPolicy.SnakeCaseLower.ConvertName(difference.Kind.ToString()),
        Offset = difference.Offset < 0 ? (long?)null : difference.Offset,
        Length = difference.Length < 0 ? (long?)null : difference.Length,
        difference.Detail,
    };

    public static object Of(NodeScrubReport report) =>
        new { report.Checked, report.Bytes, report.Wrong, report.Repaired, report.Unrepaired };

    public static object Of(Finding finding) => new
    {
        Check = finding.Check,
        Outcome = JsonNamingPolicy.SnakeCaseLower.ConvertName(finding.Outcome.ToString()),
        finding.Detail,
    };
}
