using System.Collections.Concurrent;
using System.Collections.Immutable;
using Microsoft.Extensions.Logging;
using P2PWeights.Store.Content;
using P2PWeights.Tracker.Catalog;
using P2PWeights.Tracker.Swarms;

namespace P2PWeights.Tracker;

/// <summary>
/// What a tracker does, without HTTP: joins the durable catalog and the soft swarm state. Thread-safe. Requests come in checked for shape
/// (<see cref="Http.RequestRules"/>); what depends on the state is checked here.
/// </summary>
internal sealed class TrackerCore : IAsyncDisposable
{
    private readonly IDisposable _folderLock;
    private readonly CatalogStore _catalog;
    private readonly ManifestShelf _manifests;
    private readonly SwarmState _swarms;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly long _started;

    /// <summary>Versions that somebody wants to publish and that wait for replicas, with the time they last asked.</summary>
    private readonly ConcurrentDictionary<CheckpointName, long> _staged = [];

    private TrackerCore(IDisposable folderLock, CatalogStore catalog, ManifestShelf manifests, SwarmState swarms, TimeProvider time, ILogger logger)
    {
        (_folderLock, _catalog, _manifests, _swarms, _time, _logger) = (folderLock, catalog, manifests, swarms, time, logger);
        _started = time.GetTimestamp();
        Metrics = new TrackerMetrics(swarms.Counts, () => catalog.State.Versions);
    }

    public TrackerMetrics Metrics { get; }

    /// <summary>Locks the data folder and reads the catalog.</summary>
    /// <exception cref="TrackerException">The folder is in use, or what is in it is damaged.</exception>
    public static async Task<TrackerCore> OpenAsync(TrackerOptions options, TimeProvider time, Random random, ILogger logger)
    {
        var folderLock = FolderLock.Take(options.DataDirectory);
        try
        {
            var manifests = new ManifestShelf(Path.Combine(options.DataDirectory, "manifests"), time);
            var catalog = await CatalogStore.OpenAsync(Path.Combine(options.DataDirectory, "catalog")).ConfigureAwait(false);
            var swarms = new SwarmState(options.Lease, options.Neighbours, time, random);
            return new TrackerCore(folderLock, catalog, manifests, swarms, time, logger);
        }
        catch (Exception e) when (e is IOException or InvalidDataException or UnauthorizedAccessException or FASTER.core.FasterException)
        {
            folderLock.Dispose();
            throw new TrackerException(
                TrackerError.Refused, $"the catalog in {options.DataDirectory} cannot be opened: {e.Message}; restore the folder from a backup or start with an empty one", e);
        }
    }

    public async Task<SyncResponse> SyncAsync(SyncRequest request)
    {
        if (!request.Swarms.IsEmpty)
        {
            await EnsureSwarmsAsync(request.Swarms.Select(swarm => swarm.Manifest)).ConfigureAwait(false);
        }

        var answer = _swarms.Sync(request);
        Metrics.Synced(answer.Resync);
        if (answer.Resync)
        {
            TrackerLog.Resync(_logger, request.Peer.Name, request.Sequence);
        }

        return answer.Resync || request.Leaving ? answer : answer with { Events = _catalog.State.EventsAfter(request.EventsAfter) };
    }

    /// <summary>Takes a manifest; see <see cref="ManifestShelf.PutAsync"/>.</summary>
    public Task PutManifestAsync(Digest digest, Stream source, CancellationToken cancellationToken) => _manifests.PutAsync(digest, source, cancellationToken);

    public bool HasManifest(Digest digest) => _manifests.Contains(digest);

    /// <summary>The bytes of a manifest; null when it is not here.</summary>
    public FileStream? OpenManifest(Digest digest) => _manifests.OpenRead(digest);

    /// <summary>
    /// Makes a version visible if every shard of its manifest has a live replica; until then it is staged, which reserves nothing: the first that is complete wins.
    /// </summary>
    /// <exception cref="TrackerException">A tag has that name, or the manifest was not put here before.</exception>
    public async Task<PublishResponse> PublishAsync(CheckpointName checkpoint, Digest manifest, CancellationToken cancellationToken)
    {
        var answer = Standing(_catalog.State, checkpoint, manifest) ?? await PublishNewAsync(checkpoint, manifest, cancellationToken).ConfigureAwait(false);
        if (answer.Outcome == PublishOutcome.Staged)
        {
            _staged[checkpoint] = _time.GetTimestamp();
            TrackerLog.Staged(_logger, checkpoint.ToString(), answer.MissingShards);
        }
        else
        {
            _staged.TryRemove(checkpoint, out _);
        }

        Metrics.Published(answer.Outcome);
        return answer;
    }

    /// <summary>The checkpoint under a version or tag; null when there is none.</summary>
    public async Task<CheckpointInfo?> FindAsync(CheckpointName checkpoint)
    {
        var entry = _catalog.State.Entry(checkpoint.Name);
        return entry.Find(checkpoint.Version) is { } version ? await DescribeAsync(entry, version).ConfigureAwait(false) : null;
    }

    /// <summary>All checkpoints, or those of one name, by name and then by time of publication.</summary>
    public async Task<ImmutableArray<CheckpointInfo>> ListAsync(string? name, CancellationToken cancellationToken)
    {
        var state = _catalog.State;
        var list = ImmutableArray.CreateBuilder<CheckpointInfo>();
        foreach (var entry in name is null ? state.Entries.Values : [state.Entry(name)])
        {
            foreach (var version in entry.Versions.Values.OrderBy(version => version.At))
            {
                cancellationToken.ThrowIfCancellationRequested();
                list.Add(await DescribeAsync(entry, version).ConfigureAwait(false));
            }
        }

        return list.ToImmutable();
    }

    /// <summary>Versions and tags whose names come closest.</summary>
    public ImmutableArray<string> Suggest(CheckpointName checkpoint) => [.. ClosestNames.To(
        checkpoint.ToString(),
        _catalog.State.Entries.Values.SelectMany(entry => entry.Versions.Keys.Concat(entry.Tags.Keys).Select(version => $"{entry.Name}@{version}")))];

    /// <summary>Points a tag at a version; false when there is no such version. Following another tag is allowed: the new one points at that one's version.</summary>
    /// <exception cref="TrackerException">A version has the tag's name.</exception>
    public async Task<bool> TagAsync(CheckpointName checkpoint, string tag, CancellationToken cancellationToken)
    {
        var done = await _catalog.ChangeAsync<bool>(
            state =>
            {
                var entry = state.Entry(checkpoint.Name);
                if (entry.Versions.ContainsKey(tag))
                {
                    throw new TrackerException(
                        TrackerError.Refused, $"{checkpoint.Name}@{tag} is a version; a tag cannot have the same name, choose another");
                }

                return entry.Find(checkpoint.Version) is not { } version ? (null, false)
                    : entry.Tags.GetValueOrDefault(tag) == version.Version ? (null, true)
                    : (new TagOperation(state.LastNumber + 1, checkpoint.Name, tag, version.Version), true);
            },
            cancellationToken).ConfigureAwait(false);
        if (done)
        {
            TrackerLog.Tagged(_logger, checkpoint.ToString(), tag);
        }

        return done;
    }

    /// <summary>Removes a version with the tags that point at it, or a tag; false when there was none. Running pulls go on: nobody's shards are touched.</summary>
    public async Task<bool> RemoveAsync(CheckpointName checkpoint, CancellationToken cancellationToken)
    {
        var removed = await _catalog.ChangeAsync<PublishedVersion?>(
            state => state.Entry(checkpoint.Name).Find(checkpoint.Version) is { } version
                ? (new RemoveOperation(state.LastNumber + 1, checkpoint.Name, checkpoint.Version), version)
                : (null, null),
            cancellationToken).ConfigureAwait(false);
        if (removed is null)
        {
            return false;
        }

        _manifests.Touch(removed.Manifest);
        TrackerLog.Removed(_logger, checkpoint.ToString());
        return true;
    }

    /// <summary>The swarm of the checkpoint under a version or tag, with at most so many of its peers; null when there is none.</summary>
    public async Task<SwarmStatus?> LookAsync(CheckpointName checkpoint, int most)
    {
        var entry = _catalog.State.Entry(checkpoint.Name);
        if (entry.Find(checkpoint.Version) is not { } version)
        {
            return null;
        }

        await EnsureSwarmsAsync([version.Manifest]).ConfigureAwait(false);
        var (health, members, pulling, listed) = _swarms.Look(version.Manifest, most) ?? (default, 0, 0, []);
        return new SwarmStatus(
            $"{entry.Name}@{version.Version}", version.Manifest, version.Bytes, version.Shards, health.AvailableShards, members, health.CompletePeers, pulling, listed);
    }

    public ImmutableArray<TrackedPeer> Peers() => _swarms.Peers();

    public TrackerStatus Status()
    {
        var counts = _swarms.Counts();
        var version = typeof(TrackerCore).Assembly.GetName().Version?.ToString(3) ?? "unknown";
        return new TrackerStatus(
            version, _swarms.Epoch, _time.GetElapsedTime(_started), _catalog.State.Versions, _staged.Count, counts.Peers, counts.DistinctShards, counts.Syncs);
    }

    /// <summary>Forgets what is staged and was not asked for again, and manifests that nothing points at.</summary>
    public void CleanUp()
    {
        foreach (var (checkpoint, asked) in _staged)
        {
            if (_time.GetElapsedTime(asked) >= ManifestShelf.KeepUnreferenced)
            {
                _staged.TryRemove(new(checkpoint, asked));
            }
        }

        var deleted = _manifests.Expire(digest => _catalog.State.References.ContainsKey(digest));
        if (deleted > 0)
        {
            TrackerLog.ManifestsExpired(_logger, deleted);
        }
    }

    public async ValueTask DisposeAsync()
    {
        Metrics.Dispose();
        await _catalog.DisposeAsync().ConfigureAwait(false);
        _manifests.Dispose();
        _folderLock.Dispose();
    }

    /// <summary>The answer that follows from what stands under the name already; null when nothing does.</summary>
    private static PublishResponse? Standing(CatalogState state, CheckpointName checkpoint, Digest manifest)
    {
        var entry = state.Entry(checkpoint.Name);
        if (entry.Tags.TryGetValue(checkpoint.Version, out var target))
        {
            throw new TrackerException(
                TrackerError.Refused,
                $"{checkpoint} is a tag (of {checkpoint.Name}@{target}); a version cannot have the same name: publish under another version and move the tag");
        }

        return entry.Versions.GetValueOrDefault(checkpoint.Version) switch
        {
            null => null,
            var version when version.Manifest == manifest => new PublishResponse(PublishOutcome.AlreadyPublished, 0, null),
            var version => new PublishResponse(PublishOutcome.Conflict, 0, version.Manifest),
        };
    }

    private async Task<PublishResponse> PublishNewAsync(CheckpointName checkpoint, Digest manifest, CancellationToken cancellationToken)
    {
        var content = await _manifests.LoadAsync(manifest).ConfigureAwait(false) ?? throw new TrackerException(
            TrackerError.Refused, $"the manifest {manifest} of {checkpoint} is not here: put it before publishing");
        var health = await HealthAsync(manifest).ConfigureAwait(false);
        var missing = health?.MissingShards ?? content.Shards.Length;
        if (missing > 0)
        {
            return new PublishResponse(PublishOutcome.Staged, missing, null);
        }

        var answer = await _catalog.ChangeAsync<PublishResponse>(
            state =>
            {
                if (Standing(state, checkpoint, manifest) is { } standing)
                {
                    return (null, standing);
                }

                var version = new PublishedVersion(
                    checkpoint.Version, manifest, content.Bytes, content.Files, content.Shards.Length, _time.GetUtcNow());
                return (new PublishOperation(state.LastNumber + 1, checkpoint.Name, version), new PublishResponse(PublishOutcome.Published, 0, null));
            },
            cancellationToken).ConfigureAwait(false);
        if (answer.Outcome == PublishOutcome.Published)
        {
            TrackerLog.Published(_logger, checkpoint.ToString(), manifest.ToShortString());
        }

        return answer;
    }

    private async Task<CheckpointInfo> DescribeAsync(CatalogEntry entry, PublishedVersion version)
    {
        var health = _swarms.Health(version.Manifest) ?? await HealthWithoutSwarmAsync(version.Manifest).ConfigureAwait(false);
        return new CheckpointInfo(
            entry.Name, version.Version, entry.TagsOf(version.Version), version.Manifest, version.Bytes, version.Files, version.Shards,
            version.At, health.CompletePeers, health.AvailableShards, health.LastingCopies);
    }

    /// <summary>A catalog has many versions that nobody is interested in: to describe them takes no swarm, which costs memory and has to be compared with all others.</summary>
    private async Task<SwarmHealth> HealthWithoutSwarmAsync(Digest manifest) =>
        await _manifests.LoadAsync(manifest).ConfigureAwait(false) is { } content ? _swarms.HealthWithoutSwarm(content.Shards) : default;

    private async Task<SwarmHealth?> HealthAsync(Digest manifest)
    {
        await EnsureSwarmsAsync([manifest]).ConfigureAwait(false);
        return _swarms.Health(manifest);
    }

    private async Task EnsureSwarmsAsync(IEnumerable<Digest> manifests)
    {
        foreach (var manifest in _swarms.Unknown(manifests))
        {
            if (_manifests.Contains(manifest) && await _manifests.LoadAsync(manifest).ConfigureAwait(false) is { } content)
            {
                _swarms.AddSwarm(manifest, content.Shards);
            }
        }
    }
}
