using Microsoft.Extensions.Logging;
using P2PWeights.Client.Catalog;
using P2PWeights.Client.Sync;
using P2PWeights.Store;
using P2PWeights.Store.Content;
using P2PWeights.Store.Folders;
using P2PWeights.Transfer;

namespace P2PWeights.Client.Pulling;

/// <summary>
/// Catalog -> manifest -> swarm -> files or tiers. A pull goes on only while its caller waits: cancelling it, or losing every source, keeps what was
/// fetched, and the next pull of the same checkpoint goes on from there.
/// </summary>
internal sealed class Puller(ShardStore store, TransferService transfer, CheckpointCatalog catalog, TrackerSync sync, TimeProvider time, ILogger log)
{
    private readonly PullHistory _history = new(time);

    /// <summary>The pulls under way.</summary>
    public IReadOnlyList<RunningPull> Running => _history.Running;

    /// <inheritdoc cref="INodeApi.WhyAsync"/>
    public PullExplanation Explain(CheckpointName checkpoint) => _history.Explain(checkpoint);

    public async Task<CheckpointPullReport> PullAsync(CheckpointPullRequest request, IProgress<PullProgress>? progress, CancellationToken cancellationToken)
    {
        var folder = request.Folder is null ? null : LocalPath.RequireTarget(request.Folder, "the target folder");
        var gpu = request.Gpu is null ? default : OnGpu(request.Gpu, folder);
        return await RecordAsync(request.Checkpoint, folder, watch: null, record => PullAsync(request, folder, gpu, record, progress, cancellationToken)).ConfigureAwait(false);
    }

    /// <summary>Brings shards of a checkpoint into the tiers in the order in which they are wanted, for whoever uses them while they come.</summary>
    /// <param name="name"><c>name@version</c>.</param>
    /// <param name="wanted">Ordinals. What is held already costs nothing.</param>
    /// <param name="lookAheadBytes">See <see cref="PullRequest.LookAheadBytes"/>.</param>
    /// <param name="watch">Shows what was pulled, however that ended.</param>
    public Task<PullReport> PullInOrderAsync(
        string name, Manifest manifest, IReadOnlyList<int> wanted, long lookAheadBytes, PullWatch watch, IProgress<PullProgress>? progress, CancellationToken cancellationToken) =>
        RecordAsync(name, target: null, watch, async record =>
        {
            record.Resolved(name, manifest.Digest);
            NodeLog.PullStarted(log, name, manifest.Digest, "the tiers, for an update");
            record.Enter(PullPhases.Fetching);
            record.Divided(new PulledParts(manifest, null));
            using var pulling = sync.Pulling(manifest.Digest, () => record.Progress);
            var kept = JoinAsync(manifest, cancellationToken);
            var seen = new ProgressRelay<PullProgress>(moved => Report(record, progress, moved));
            var request = new PullRequest(manifest, wanted, default) { Watch = record.Watch, LookAheadBytes = lookAheadBytes };
            var fetched = transfer.PullAsync(request, seen, cancellationToken);
            await Task.WhenAll(kept, fetched).ConfigureAwait(false);
            var report = await fetched.ConfigureAwait(false);
            NodeLog.PullDone(log, name, report.BytesFetched, report.BytesReused, report.Elapsed.TotalSeconds);
            return report;
        });

    /// <summary>Keeps the pull in the history, with how it ended.</summary>
    private async Task<T> RecordAsync<T>(string asked, string? target, PullWatch? watch, Func<PullRecord, Task<T>> pull)
    {
        var record = _history.Enter(asked, target, watch);
        var failure = (State: PullState.Failed, Message: (string?)null);
        try
        {
            var report = await pull(record).ConfigureAwait(false);
            failure.State = PullState.Done;
            return report;
        }
        catch (OperationCanceledException)
        {
            failure.State = PullState.Cancelled;
            throw;
        }
        catch (Exception e)
        {
            // Noted for whoever asks why, and thrown on.
            failure.Message = e.Message;
            throw;
        }
        finally
        {
            record.End(failure.State, failure.Message);
            _history.Leave(record);
        }
    }

    private async Task<CheckpointPullReport> PullAsync(
        CheckpointPullRequest request, string? folder, ShardTarget gpu, PullRecord record, IProgress<PullProgress>? progress, CancellationToken cancellationToken)
    {
        var started = time.GetTimestamp();
        var checkpoint = await catalog.FindAsync(CheckpointCatalog.Parse(request.Checkpoint), cancellationToken).ConfigureAwait(false);
        var manifest = await catalog.ManifestAsync(checkpoint, cancellationToken).ConfigureAwait(false);
        var name = CheckpointCatalog.NameOf(checkpoint);
        record.Resolved(name, manifest.Digest);
        NodeLog.PullStarted(log, name, manifest.Digest, folder ?? (request.Gpu is { } device ? $"GPU {device}" : "the tiers"));

        // Pinned before anything is looked at, so that nothing found in the store is evicted by the pull that needs it.
        using var pin = store.Pin(manifest.Shards.Select(shard => shard.Digest));
        var report = folder is null
            ? await IntoTiersAsync(manifest, gpu, record, progress, started, cancellationToken).ConfigureAwait(false)
            : await IntoFolderAsync(folder, manifest, record, progress, started, cancellationToken).ConfigureAwait(false);
        NodeLog.PullDone(log, name, report.BytesFetched, report.BytesReused, report.Elapsed.TotalSeconds);
        return new CheckpointPullReport(name, manifest.Digest, folder, manifest.Files.Length, report, request.Gpu);
    }

    /// <exception cref="NodeException"><see cref="NodeError.Usage"/>: the node has no memory on such a GPU, or there is a folder too.</exception>
    private ShardTarget OnGpu(string device, string? folder)
    {
        var gpu = store.Gpus.ToList().IndexOf(device);
        return folder is not null
            ? throw new NodeException(NodeError.Usage, "a pull goes either into a folder or onto a GPU: leave out one of the two")
            : gpu >= 0
                ? ShardTarget.InGpu(gpu)
                : throw new NodeException(
                    NodeError.Usage,
                    $"the node holds no shards on {(GpuMemory.IsDevice(device) ? $"GPU {device}" : "a GPU of that name")}: {(store.Gpus.Count == 0 ? "it was started without --gpu-memory" : $"only on {string.Join(", ", store.Gpus)}")}. Start it with --gpu-memory GPU=SIZE, or pull into the other tiers.");
    }

    private async Task<PullReport> IntoTiersAsync(
        Manifest manifest, ShardTarget gpu, PullRecord record, IProgress<PullProgress>? progress, long started, CancellationToken cancellationToken)
    {
        var kept = JoinAsync(manifest, cancellationToken);
        var fetched = TransferAsync(manifest, new PulledParts(manifest, null), gpu, record, progress, started, cancellationToken);
        await Task.WhenAll(kept, fetched).ConfigureAwait(false);
        return await fetched.ConfigureAwait(false);
    }

    private async Task<PullReport> IntoFolderAsync(
        string target, Manifest manifest, PullRecord record, IProgress<PullProgress>? progress, long started, CancellationToken cancellationToken)
    {
        var folder = CheckpointFolder.Open(target, manifest);
        await using (folder.ConfigureAwait(false))
        {
            record.Enter(PullPhases.Checking);
            var checking = new PulledParts(manifest, null).AtStart with { Stage = PullStages.Checking };
            var scan = new ProgressRelay<long>(bytes => Report(record, progress, checking with { BytesDone = bytes }));
            var inPlace = await folder.ScanAsync(scan, cancellationToken).ConfigureAwait(false);
            await store.AdoptFolderAsync(folder, cancellationToken).ConfigureAwait(false);
            var kept = JoinAsync(manifest, cancellationToken);
            var fetched = TransferAsync(manifest, new PulledParts(manifest, inPlace), folder, record, progress, started, cancellationToken);
            await Task.WhenAll(kept, fetched).ConfigureAwait(false);
            var report = await fetched.ConfigureAwait(false);
            record.Enter(PullPhases.Completing);
            foreach (var file in await folder.CompleteAsync(cancellationToken).ConfigureAwait(false))
            {
                await store.ReferenceAsync(file.Path, file.Identity, file.Extents, cancellationToken).ConfigureAwait(false);
            }

            return report;
        }
    }

    /// <summary>
    /// Enters the swarm. Ends when the manifest is kept, so that a restarted node serves what it has of the swarm: two fsync, which the first shards need not wait for.
    /// </summary>
    private Task JoinAsync(Manifest manifest, CancellationToken cancellationToken)
    {
        transfer.Join(manifest);
        return store.SaveManifestAsync(manifest, cancellationToken).AsTask();
    }

    private async Task<PullReport> TransferAsync(
        Manifest manifest, PulledParts parts, ShardTarget target, PullRecord record, IProgress<PullProgress>? progress, long started, CancellationToken cancellationToken)
    {
        record.Enter(PullPhases.Fetching);
        record.Divided(parts);
        using var pulling = sync.Pulling(manifest.Digest, () => record.Progress);
        var whole = new ProgressRelay<PullProgress>(seen => Report(record, progress, parts.Whole(seen)));
        Report(record, progress, parts.AtStart);
        var report = parts.Wanted.Count == 0
            ? new PullReport(0, 0, 0, 0, TimeSpan.Zero, [])
            : await transfer.PullAsync(new PullRequest(manifest, parts.Wanted, target) { Watch = record.Watch }, whole, cancellationToken).ConfigureAwait(false);
        return parts.Whole(report, time.GetElapsedTime(started));
    }

    private static void Report(PullRecord record, IProgress<PullProgress>? progress, PullProgress seen)
    {
        record.Progress = seen;
        progress?.Report(seen);
    }
}
