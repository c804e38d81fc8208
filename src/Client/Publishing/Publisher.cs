using Microsoft.Extensions.Logging;
using P2PWeights.Client.Catalog;
using P2PWeights.Client.Sync;
using P2PWeights.Store;
using P2PWeights.Store.Content;
using P2PWeights.Store.Folders;
using P2PWeights.Tracker;
using P2PWeights.Transfer;

namespace P2PWeights.Client.Publishing;

/// <summary>
/// Cut, hash, reference or copy, announce, commit: in this order, so that a name appears in the catalog only when every byte behind it is durable here
/// and known to the tracker. Any failure leaves the catalog as it was; asking again is always safe.
/// </summary>
internal sealed class Publisher(
    ShardStore store, TransferService transfer, TrackerClient tracker, CheckpointCatalog catalog, TrackerSync sync, TimeProvider time, ILogger log)
{
    /// <summary>From "everything is held here" to "visible": a few calls to the tracker.</summary>
    private static readonly TimeSpan AnnounceDeadline = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan StagedPollInterval = TimeSpan.FromMilliseconds(200);

    private readonly ReplicaTaker _replicas = new(store);

    public async Task<PublishReport> PublishAsync(PublishRequest request, IProgress<PublishProgress>? progress, CancellationToken cancellationToken)
    {
        var started = time.GetTimestamp();
        var publication = Publication.Check(request);
        NodeLog.PublishStarted(log, publication.Folder, publication.Name.ToString());

        var files = CheckpointFiles.List(publication.Folder);
        var existing = await FindExistingAsync(publication.Name, cancellationToken).ConfigureAwait(false);
        RefuseOtherSizes(publication.Name, existing, files);
        foreach (var tag in request.Tags)
        {
            await catalog.RequireTaggableAsync(publication.Name, tag, cancellationToken).ConfigureAwait(false);
        }

        var hashed = await FolderReader.ReadAsync(files, request.MaxShardBytes, progress, cancellationToken).ConfigureAwait(false);
        var manifest = Describe(hashed, request);
        var hashElapsed = time.GetElapsedTime(started);
        RefuseOtherContent(publication.Name, existing?.Manifest, manifest);

        progress?.Report(new PublishProgress(PublishStages.Announcing, manifest.TotalBytes, manifest.TotalBytes));
        using var pin = store.Pin(manifest.Shards.Select(shard => shard.Digest));
        var newShards = manifest.Shards.Count(shard => !store.Contains(shard.Digest));
        await (request.Copy ? _replicas.CopyAsync(hashed, cancellationToken) : _replicas.ReferenceAsync(hashed, cancellationToken)).ConfigureAwait(false);
        var outcome = await MakeVisibleAsync(publication, manifest, cancellationToken).ConfigureAwait(false);

        NodeLog.PublishDone(log, publication.Name.ToString(), manifest.Digest, manifest.TotalBytes, outcome);
        return new PublishReport(
            publication.Name.ToString(),
            manifest.Digest,
            outcome == PublishOutcome.AlreadyPublished,
            manifest.Files.Length,
            manifest.Tensors.Length,
            manifest.Shards.Length,
            newShards,
            manifest.TotalBytes,
            time.GetElapsedTime(started),
            hashElapsed);
    }

    private static Manifest Describe(IReadOnlyList<PublishedFile> files, PublishRequest request)
    {
        try
        {
            return Manifest.Create(
                request.MaxShardBytes,
                files.Select(file => (file.File.Path, file.Identity.Size, (IReadOnlyList<ShardInfo>)[.. file.Extents.Select(extent => extent.Shard)])),
                files.SelectMany(file => file.Tensors.Select(tensor => (file.File.Path, tensor))),
                request.Metadata);
        }
        catch (ManifestException e)
        {
            // What the folder itself may not hold, e.g. a forbidden name: a fault of the request, not of any bytes.
            throw new NodeException(NodeError.Usage, $"{request.Folder} cannot be published: {e.Message}", e);
        }
    }

    private async Task<CheckpointInfo?> FindExistingAsync(CheckpointName name, CancellationToken cancellationToken)
    {
        var existing = await tracker.FindAsync(name, cancellationToken).ConfigureAwait(false);
        return existing is null || existing.Version == name.Version
            ? existing
            : throw new NodeException(NodeError.Usage, $"{name} is a tag of {CheckpointCatalog.NameOf(existing)}; publish under a version and point the tag at it with --tag {name.Version}");
    }

    /// <summary>The cheapest sign of other content, before a byte is hashed.</summary>
    private static void RefuseOtherSizes(CheckpointName name, CheckpointInfo? existing, IReadOnlyList<CheckpointFile> files)
    {
        var bytes = files.Sum(file => file.Size);
        if (existing is not null && (existing.Files != files.Count || existing.Bytes != bytes))
        {
            throw Conflict(
                name, $"{existing.Files} files of {existing.Bytes} bytes (manifest {existing.Manifest}), and this folder holds {files.Count} files of {bytes} bytes");
        }
    }

    private static void RefuseOtherContent(CheckpointName name, Digest? existing, Manifest manifest)
    {
        if (existing is { } other && other != manifest.Digest)
        {
            throw Conflict(name, $"manifest {other}, and this folder makes manifest {manifest.Digest}");
        }
    }

    private static NodeException Conflict(CheckpointName name, string contents) => new(
        NodeError.NotAllowed,
        $"{name} stands for other content: the catalog has {contents}; nothing was changed, choose another version or remove that one with `p2pw rm {name}`");

    private async Task<PublishOutcome> MakeVisibleAsync(Publication publication, Manifest manifest, CancellationToken cancellationToken)
    {
        using var deadline = new CancellationTokenSource(AnnounceDeadline, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, cancellationToken);
        try
        {
            var wasKept = store.FindManifest(manifest.Digest) is not null;
            await store.SaveManifestAsync(manifest, either.Token).ConfigureAwait(false);
            transfer.JoinAsPublisher(manifest);
            sync.Prefer(manifest.Digest);
            await tracker.PutManifestAsync(manifest, either.Token).ConfigureAwait(false);
            await sync.AnnounceAsync(either.Token).ConfigureAwait(false);
            var response = await CommitAsync(publication.Name, manifest, either.Token).ConfigureAwait(false);
            if (response.Outcome == PublishOutcome.Conflict)
            {
                await ForgetAsync(manifest, wasKept, either.Token).ConfigureAwait(false);
                RefuseOtherContent(publication.Name, response.Existing ?? default, manifest);
            }

            foreach (var tag in publication.Request.Tags)
            {
                await catalog.TagAsync(publication.Name, tag, either.Token).ConfigureAwait(false);
            }

            return response.Outcome;
        }
        catch (OperationCanceledException e) when (deadline.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            throw new NodeException(
                NodeError.Deadline,
                $"{publication.Name} is held here in full, but the tracker did not make it visible within {AnnounceDeadline.TotalSeconds:0} s; publish again when `p2pw status` finds the tracker reachable",
                e);
        }
    }

    /// <summary>Staged means that the tracker misses replicas, for it restarted or another peer left: they are announced again until it has them all.</summary>
    private async Task<PublishResponse> CommitAsync(CheckpointName name, Manifest manifest, CancellationToken cancellationToken)
    {
        while (true)
        {
            var response = await tracker.PublishAsync(name, manifest.Digest, cancellationToken).ConfigureAwait(false);
            if (response.Outcome != PublishOutcome.Staged)
            {
                return response;
            }

            await Task.Delay(StagedPollInterval, time, cancellationToken).ConfigureAwait(false);
            await sync.AnnounceAsync(cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>Another publisher was first with other content: this node leaves the swarm that only it would be in.</summary>
    private async Task ForgetAsync(Manifest manifest, bool wasKept, CancellationToken cancellationToken)
    {
        if (!wasKept)
        {
            transfer.Leave(manifest.Digest);
            await store.RemoveManifestAsync(manifest.Digest, cancellationToken).ConfigureAwait(false);
        }
    }
}
