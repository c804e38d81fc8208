using P2PWeights.Cli.Doctor;
using P2PWeights.Cli.Output;
using P2PWeights.Cli.Synth;
using P2PWeights.Client;
using P2PWeights.Transfer;
using Spectre.Console;

namespace P2PWeights.Cli.Demo;

/// <summary>
/// A cluster on one machine: a tracker, a publisher, consumers and engines, each a process of its own, on loopback with ports that the system chooses. Everything it
/// makes lies in one temporary folder; whatever happens, processes stop first, then the folder goes.
/// </summary>
internal sealed class DemoRun(DemoPlan plan, Terminal terminal, TimeProvider time)
{
    private const string Checkpoint = "demo@1";

    private readonly ProgressView _view = new(terminal, time);

    /// <summary>Runs it all. The report says whether anything differs; failures are thrown.</summary>
    public async Task<DemoReport> RunAsync(CancellationToken cancellationToken)
    {
        var start = time.GetTimestamp();
        terminal.Say($"[bold]P2PWeights demo[/]: one node publishes {Format.Bytes(plan.Bytes)}, {Format.Count(plan.Peers, "other")} pull it at once");
        terminal.Say("");
        using var workspace = Workspace.Create();
        var temporary = Path.TrimEndingDirectorySeparator(Path.GetTempPath());
        Done("space", plan.CheckSpace(temporary, MachineChecks.Free(temporary), MachineChecks.Free("/dev/shm")), null);

        var noEngines = plan.NoEngines(MachineChecks.FreeMemory());

        var folder = plan.Checkpoint ?? await SynthesizeAsync(workspace["checkpoint"], cancellationToken);
        await using var cluster = await TimedAsync(
            "start",
            DemoCluster.StartAsync(workspace, plan.Peers, noEngines is null ? DemoPlan.Engines : 0, cancellationToken),
            cluster => $"tracker at {cluster.TrackerAddress}, {plan.Peers + 1} nodes, {Format.Count(cluster.Engines.Count, "engine")}, a process each");
        var publication = await PublishAsync(cluster, folder, cancellationToken);
        var pulls = await PullAsync(cluster, workspace, cancellationToken);
        var differences = await CompareAsync(folder, pulls, cancellationToken);
        var update = await UpdateAsync(cluster, noEngines ?? (publication.Tensors == 0 ? "left out: the checkpoint has no tensors" : null), cancellationToken);
        var publisher = await cluster.Publisher.StatusAsync(cancellationToken);
        return new DemoReport(publication, pulls, publisher.ServedBytes, differences, update, publication.Files * pulls.Length, time.GetElapsedTime(start));
    }

    private async Task<string> SynthesizeAsync(string folder, CancellationToken cancellationToken)
    {
        var written = new Latest<long>();
        await TimedAsync(
            "synth",
            _view.WatchAsync(
                SyntheticCheckpoint.WriteAsync(new SynthOptions(folder, plan.Bytes), written, cancellationToken),
                () => new ProgressFrame("writing a checkpoint", written.Value, plan.Bytes, [])),
            summary => $"a small qwen3: {Format.Count(summary.Tensors, "tensor")} in {Format.Count(summary.Files, "file")}, {Format.Bytes(summary.Bytes)}");
        return folder;
    }

    private Task<PublishReport> PublishAsync(DemoCluster cluster, string folder, CancellationToken cancellationToken)
    {
        var latest = new Latest<PublishProgress>();
        var request = new PublishRequest(folder, Checkpoint, Copy: false, [], new Dictionary<string, string>());
        return TimedAsync(
            "publish",
            _view.WatchAsync(
                cluster.Publisher.PublishAsync(request, latest, cancellationToken),
                () => latest.Value is { } progress ? new ProgressFrame("hashing", progress.BytesDone, progress.BytesTotal, []) : null),
            report =>
                $"{Format.Count(report.Shards, "shard")}, manifest {report.Manifest.ToString()[..16]}, "
                + $"hashed at {Format.Rate(Format.PerSecond(report.Bytes, report.HashElapsed))}");
    }

    private Task<(string Node, CheckpointPullReport Report)[]> PullAsync(
        DemoCluster cluster, Workspace workspace, CancellationToken cancellationToken)
    {
        var progress = cluster.Consumers.Select(_ => new Latest<PullProgress>()).ToList();
        var pulls = cluster.Consumers.Select(async (consumer, index) =>
        {
            var request = new CheckpointPullRequest(Checkpoint, workspace[Path.Combine(consumer.Name, "checkpoint")]);
            return (consumer.Name, await consumer.Client.PullAsync(request, progress[index], cancellationToken));
        });
        return TimedAsync(
            "pull",
            _view.WatchAsync(
                Task.WhenAll(pulls),
                () => new ProgressFrame("pulling", progress.Sum(latest => latest.Value?.BytesDone ?? 0), plan.Bytes * plan.Peers, [])),
            reports =>
                $"{Format.Count(reports.Length, "node")} at once, {Format.Bytes(reports.Sum(pull => pull.Item2.Transfer.BytesTotal))} in all, "
                + "every shard verified");
    }

    private Task<IReadOnlyList<string>> CompareAsync(
        string folder, (string Node, CheckpointPullReport Report)[] pulls, CancellationToken cancellationToken)
    {
        var compared = Task.Run<IReadOnlyList<string>>(
            () => [.. pulls.Select(pull => FolderComparison.FirstDifference(folder, pull.Report.Folder!, cancellationToken)).OfType<string>()], cancellationToken);
        return TimedAsync(
            "compare",
            compared,
            differences => differences.Count == 0
                ? $"{Format.Count(pulls.Sum(pull => pull.Report.Files), "file")} in {Format.Count(pulls.Length, "folder")}, byte by byte against the original: equal"
                : $"{Format.Count(differences.Count, "folder")} differ");
    }

    /// <summary>Brings the checkpoint from the first consumer into the engines, and has them read it back.</summary>
    private async Task<UpdateReport?> UpdateAsync(DemoCluster cluster, string? leftOut, CancellationToken cancellationToken)
    {
        if (leftOut is not null)
        {
            Done("update", leftOut, null);
            return null;
        }

        var latest = new Latest<UpdateProgress>();
        var request = new UpdateRequest(Checkpoint, cluster.Engines) { SlotBytes = DemoPlan.SlotBytes, Verify = true };
        var (name, node) = cluster.Consumers[0];
        var report = await _view.WatchAsync(
            node.UpdateAsync(request, latest, cancellationToken),
            () => latest.Value is { } progress && progress.BucketsTotal > 0
                ? new ProgressFrame("updating engines", progress.BytesTotal / progress.BucketsTotal * progress.Buckets, progress.BytesTotal, [])
                : null);
        if (report.Cancelled)
            cancellationToken.ThrowIfCancellationRequested();
        if (report.Failure is { } failure)
            throw new NodeException(failure.Error, failure.Message);
        var stages = string.Join(", ", report.Stages.Select(stage => $"{stage.Name} {Format.Time(stage.Busy)}"));
        Done("update", $"{name} into {Format.Count(report.Engines.Count, "engine")} at once, {Format.Rate(report.BytesPerSecond())} each; at work: {stages}", report.Elapsed, report.IsComplete());
        Done(
            "verify",
            $"{Format.Count(report.Tensors, "tensor")} in {Format.Count(report.Engines.Count, "engine")}, read back by them, SHA-256: {(report.IsVerified() == true ? "equal" : "NOT EQUAL")}",
            report.VerifyElapsed,
            report.IsVerified() == true);
        return report;
    }

    private async Task<T> TimedAsync<T>(string step, Task<T> work, Func<T, string> describe)
    {
        var start = time.GetTimestamp();
        var result = await work;
        Done(step, describe(result), time.GetElapsedTime(start));
        return result;
    }

    private void Done(string step, string what, TimeSpan? elapsed, bool isWell = true) =>
        terminal.Say($"  {(isWell ? "[green]✓[/]" : "[red]✗[/]")} {step,-8} [grey]{(elapsed is { } spent ? Format.Time(spent) : ""),6}[/]  {Markup.Escape(what)}");
}
