using System.Reflection;
using Microsoft.Extensions.Logging;
using P2PWeights.Client.Catalog;
using P2PWeights.Client.Engines;
using P2PWeights.Client.LocalApi;
using P2PWeights.Client.Publishing;
using P2PWeights.Client.Pulling;
using P2PWeights.Client.Scrubbing;
using P2PWeights.Client.Sync;
using P2PWeights.Client.Updating;
using P2PWeights.Store;
using P2PWeights.Store.Content;
using P2PWeights.Store.Folders;
using P2PWeights.Store.Telemetry;
using P2PWeights.Tracker;
using P2PWeights.Tracker.Discovery;
using P2PWeights.Transfer;

namespace P2PWeights.Client;

/// <summary>
/// The long-lived process per machine, and the one place where store, transfer and tracker are joined: it syncs with the tracker, serves peers, and
/// answers the local API on its Unix socket. Thread-safe. A stop cancels the requests under way, says goodbye to the tracker, and closes the store last.
/// </summary>
public sealed class PeerNode : INodeApi, IAsyncDisposable
{
    private static readonly TimeSpan CopyPollInterval = TimeSpan.FromSeconds(1);
    private static readonly string SoftwareVersion =
        typeof(PeerNode).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "unknown";

    private readonly NodeOptions _options;
    private readonly TimeProvider _time;
    private readonly ILogger _log;
    private readonly long _started;
    private readonly NodeOperations _operations;
    private readonly Teardown _teardown;
    private readonly ShardStore _store;
    private readonly TransferService _transfer;
    private readonly TrackerDiscovery? _discovery;
    private readonly TrackerClient _tracker;
    private readonly TrackerSync _sync;
    private readonly AskedSwarms _asked;
    private readonly PeerInfo _self;
    private readonly CheckpointCatalog _catalog;
    private readonly Publisher _publisher;
    private readonly Puller _puller;
    private readonly Scrubber _scrubber;
    private readonly Updater _updater;
    private readonly Farewells _farewells;
    private int _disposed;

    private PeerNode(NodeOptions options, TimeProvider time, ILogger log, Teardown teardown, ShardStore store, TransferService transfer)
    {
        (_options, _time, _log, _teardown, _store, _transfer) = (options, time, log, teardown, store, transfer);
        _operations = new NodeOperations(time);
        _started = time.GetTimestamp();
        _self = PeerIdentity.Describe(store.NodeId, options, transfer.LocalEndPoint);
        _discovery = options.Discover is { } discover ? teardown.Add(new TrackerDiscovery(discover, options.ClusterKey, time, log)) : null;
        _tracker = teardown.AddSync(new TrackerClient(KnownTrackers, options.ClusterKey, time));
        _sync = teardown.Add(new TrackerSync(store, transfer, _tracker, _self, time, log));
        _asked = teardown.Add(new AskedSwarms(store, transfer, _tracker, _sync, log));
        _catalog = new CheckpointCatalog(_tracker, store);
        _publisher = new Publisher(store, transfer, _tracker, _catalog, _sync, time, log);
        _puller = new Puller(store, transfer, _catalog, _sync, time, log);
        _scrubber = new Scrubber(store, transfer, _sync, log);
        _farewells = teardown.Add(new Farewells());
        _updater = teardown.Add(new Updater(store, _puller, _catalog, options.ArenaRoot, time, log));
    }

    /// <summary>Opens the store, starts to serve, joins the tracker. A tracker that does not answer yet is no failure: the node serves and keeps trying.</summary>
    /// <exception cref="NodeException">The data folder is in use, or an address cannot be used.</exception>
    public static async Task<PeerNode> StartAsync(NodeOptions options, TimeProvider time, ILoggerFactory loggers, CancellationToken cancellationToken)
    {
        if (options.Trackers.Count == 0 && options.Discover is null)
        {
            throw new NodeException(NodeError.Usage, "a node needs the address of at least one tracker, or to discover it");
        }

        if (options.GpuMemory.Count > 0 && options.MemoryBytes < Manifest.DefaultMaxShardBytes)
        {
            throw new NodeException(
                NodeError.Usage, $"--gpu-memory needs a memory tier, because what GPUs hold is served to other hosts through it: give --memory {ByteSize.Format(Manifest.DefaultMaxShardBytes)} or more. Nothing was started.");
        }

        var teardown = new Teardown();
        try
        {
            // First of all, so that it sees everything that the parts measure.
            var metrics = teardown.AddSync(new MetricsText());
            var store = teardown.Add(await ShardStore.OpenAsync(ForStore(options), time, loggers, cancellationToken).ConfigureAwait(false));
            var transfer = teardown.Add(new TransferService(store, ForTransfer(options), time, loggers));
            await transfer.StartAsync(cancellationToken).ConfigureAwait(false);
            var node = new PeerNode(options, time, loggers.CreateLogger<PeerNode>(), teardown, store, transfer);
            await node.JoinAsync(metrics, loggers, cancellationToken).ConfigureAwait(false);
            return node;
        }
        catch (Exception e)
        {
            await teardown.DisposeAsync().ConfigureAwait(false);
            if (e is not NodeException && NodeFailure.TryTranslate(e, out var failure))
            {
                throw failure;
            }

            throw;
        }
    }

    /// <summary>
    /// Waits until a live peer other than this one, which is not inside a command either, holds every shard of a checkpoint. A node inside `p2pw publish` serves for that
    /// long, for with it goes the only copy. The wait has no end of its own: the caller's token is its deadline.
    /// </summary>
    public Task WaitForCopyAsync(string checkpoint, CancellationToken cancellationToken) =>
        _operations.RunAsync(
            "wait",
            async token =>
            {
                var name = CheckpointCatalog.Parse(checkpoint);
                while (!await HasOtherCopyAsync(name, token).ConfigureAwait(false))
                {
                    await Task.Delay(CopyPollInterval, _time, token).ConfigureAwait(false);
                }
            },
            cancellationToken);

    public Task<PublishReport> PublishAsync(PublishRequest request, IProgress<PublishProgress>? progress, CancellationToken cancellationToken) =>
        _operations.RunAsync("publish", token => _publisher.PublishAsync(request, progress, token), cancellationToken);

    public Task<CheckpointPullReport> PullAsync(CheckpointPullRequest request, IProgress<PullProgress>? progress, CancellationToken cancellationToken) =>
        _operations.RunAsync("pull", token => _puller.PullAsync(request, progress, token), cancellationToken);

    public Task<UpdateReport> UpdateAsync(UpdateRequest request, IProgress<UpdateProgress>? progress, CancellationToken cancellationToken) =>
        RunUpdateAsync(
            async token =>
            {
                UpdateRequestCheck.Require(request);
                var engines = await EngineGroup.ConnectAsync(request.Engines, _farewells, token).ConfigureAwait(false);
                await using (engines)
                {
                    return await _updater.UpdateAsync(request, engines.Engines, progress, token).ConfigureAwait(false);
                }
            },
            cancellationToken);

    /// <summary>Brings a checkpoint into engines of this host that are connected already.</summary>
    /// <param name="engines">Stay owned by the caller; the request's own list is for whoever reads the report.</param>
    internal Task<UpdateReport> UpdateAsync(
        UpdateRequest request, IReadOnlyList<IEngine> engines, IProgress<UpdateProgress>? progress, CancellationToken cancellationToken) =>
        RunUpdateAsync(token => _updater.UpdateAsync(request, engines, progress, token), cancellationToken);

    public Task<VerifyReport> VerifyAsync(string folder, string checkpoint, IProgress<long>? bytesHashed, CancellationToken cancellationToken) =>
        _operations.RunAsync(
            "verify",
            async token =>
            {
                var path = LocalPath.RequireFolder(folder, "the folder to verify");
                var (found, manifest) = await ResolveAsync(checkpoint, token).ConfigureAwait(false);
                var differences = await CheckpointFolder.CompareAsync(path, manifest, bytesHashed, token).ConfigureAwait(false);
                return new VerifyReport(CheckpointCatalog.NameOf(found), manifest.Digest, manifest.Files.Length, manifest.TotalBytes, differences);
            },
            cancellationToken);

    public Task<NodeScrubReport> ScrubAsync(IProgress<NodeScrubReport>? progress, CancellationToken cancellationToken) =>
        _operations.RunAsync("scrub", token => _scrubber.RunAsync(bytesPerSecond: 0, progress, token), cancellationToken);

    public Task<NodeStatus> StatusAsync(CancellationToken cancellationToken)
    {
        var served = _transfer.Served;
        var tiers = _store.Usage.Tiers.Select(tier => new TierStatus(tier.Tier.ToString().ToLowerInvariant(), tier.Shards, tier.Bytes, tier.QuotaBytes));
        return Task.FromResult(new NodeStatus(
            _self.Id,
            _self.Name,
            SoftwareVersion,
            _self.Endpoints[0],
            _time.GetElapsedTime(_started),
            string.Join(',', KnownTrackers()),
            _sync.Reachable,
            [.. tiers],
            _store.Manifests.Count,
            served.Shards,
            served.Bytes,
            _puller.Running));
    }

    public Task<PullExplanation> WhyAsync(string checkpoint, CancellationToken cancellationToken) =>
        _operations.RunAsync("why", _ => Task.FromResult(_puller.Explain(CheckpointCatalog.Parse(checkpoint))), cancellationToken);

    public Task<IReadOnlyList<PeerStatus>> PeersAsync(CancellationToken cancellationToken) => Task.FromResult(_transfer.Peers);

    public Task<IReadOnlyList<CheckpointInfo>> ListAsync(string? name, CancellationToken cancellationToken) =>
        _operations.RunAsync("list", token => _catalog.ListAsync(name, token), cancellationToken);

    public Task<CheckpointDetails> ShowAsync(string checkpoint, CancellationToken cancellationToken) =>
        _operations.RunAsync(
            "show",
            async token =>
            {
                var (found, manifest) = await ResolveAsync(checkpoint, token).ConfigureAwait(false);
                return CheckpointCatalog.Details(found, manifest);
            },
            cancellationToken);

    public Task<SwarmStatus> SwarmAsync(string checkpoint, int members, CancellationToken cancellationToken) =>
        _operations.RunAsync("swarm", token => _catalog.SwarmAsync(CheckpointCatalog.Parse(checkpoint), members, token), cancellationToken);

    public Task TagAsync(string checkpoint, string tag, CancellationToken cancellationToken) =>
        _operations.RunAsync("tag", token => _catalog.TagAsync(CheckpointCatalog.Parse(checkpoint), tag, token), cancellationToken);

    public Task RemoveAsync(string checkpoint, CancellationToken cancellationToken) =>
        _operations.RunAsync("remove", token => _catalog.RemoveAsync(CheckpointCatalog.Parse(checkpoint), token), cancellationToken);

    /// <summary>Stops: ends the requests under way, says goodbye to the tracker, closes the store.</summary>
    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) == 0)
        {
            await _operations.DisposeAsync().ConfigureAwait(false);
            await _teardown.DisposeAsync().ConfigureAwait(false);
            NodeLog.Stopped(_log, _options.Name);
        }
    }

    /// <summary>Enters the swarms of everything kept from earlier runs, starts the loops, and opens the local API last: whoever reaches it finds a node that works.</summary>
    private async Task JoinAsync(MetricsText metrics, ILoggerFactory loggers, CancellationToken cancellationToken)
    {
        foreach (var manifest in _store.Manifests.Select(_store.FindManifest).OfType<Manifest>())
        {
            _transfer.Join(manifest);
        }

        _sync.Start();
        _asked.Start();
        if (_discovery is { } discovery)
        {
            discovery.Changed += _sync.Hurry;
        }

        if (_options.ScrubBytesPerSecond > 0 && !_options.Ephemeral)
        {
            _teardown.Add(new BackgroundScrub(_scrubber, _options.ScrubBytesPerSecond, _time, _log)).Start();
        }

        NodeLog.Started(_log, _self.Name, _self.Id, _self.Endpoints[0], _options.DataDirectory);
        if (_options.Socket is { } socket)
        {
            _teardown.Add(await NodeServer.StartAsync(socket, this, metrics, _time, loggers, cancellationToken).ConfigureAwait(false));
            NodeLog.Listening(_log, socket);
        }
    }

    /// <summary>The trackers of the settings, then those found on the network.</summary>
    private IReadOnlyList<Uri> KnownTrackers() => _discovery is { } discovery
        ? [.. _options.Trackers.Concat(discovery.Trackers.Select(found => found.Address)).Distinct()]
        : _options.Trackers;

    private async Task<(CheckpointInfo Found, Manifest Manifest)> ResolveAsync(string checkpoint, CancellationToken cancellationToken)
    {
        var found = await _catalog.FindAsync(CheckpointCatalog.Parse(checkpoint), cancellationToken).ConfigureAwait(false);
        return (found, await _catalog.ManifestAsync(found, cancellationToken).ConfigureAwait(false));
    }

    private async Task<bool> HasOtherCopyAsync(CheckpointName checkpoint, CancellationToken cancellationToken)
    {
        try
        {
            var found = await _catalog.FindAsync(checkpoint, cancellationToken).ConfigureAwait(false);
            var ownCopy = !_options.IsPassing && _store.FindManifest(found.Manifest) is { } manifest && manifest.Shards.All(shard => _store.Contains(shard.Digest)) ? 1 : 0;
            return found.LastingCopies > ownCopy;
        }
        catch (TrackerException e) when (e.Error is TrackerError.Unreachable or TrackerError.Unavailable)
        {
            NodeLog.WaitingWithoutTracker(_log, checkpoint.ToString(), e.Message);
            return false;
        }
    }

    private Task<UpdateReport> RunUpdateAsync(Func<CancellationToken, Task<UpdateReport>> update, CancellationToken cancellationToken) =>
        _operations.RunAsync("update", async token => Explain(await update(token).ConfigureAwait(false), cancellationToken), cancellationToken, OutcomeOf);

    /// <summary>A report of an update that was cancelled, and not by its caller, says by whom: a node that stops cancels what runs.</summary>
    private static UpdateReport Explain(UpdateReport report, CancellationToken caller) => report.Cancelled && !caller.IsCancellationRequested
        ? report with
        {
            Cancelled = false,
            Failure = new UpdateFailure(NodeError.Failed, $"the node is stopping; {(report.IsComplete() ? "the engines are updated, and were not read back" : "start it again, and update again")}"),
        }
        : report;

    private static string OutcomeOf(UpdateReport report) => report.Cancelled ? NodeMetrics.Cancelled : report.Failure?.Error.ToString() ?? NodeMetrics.Ok;

    private static StoreOptions ForStore(NodeOptions options) => new()
    {
        DataDirectory = options.DataDirectory,
        MemoryBytes = options.MemoryBytes,
        GpuMemory = options.GpuMemory,
        ArenaRoot = options.ArenaRoot,
        DiskBytes = options.DiskBytes,
        Ephemeral = options.Ephemeral,

        // The node scrubs, not the store: only the node can repair from peers.
        ScrubBytesPerSecond = 0,
    };

    private static TransferOptions ForTransfer(NodeOptions options) => new()
    {
        Listen = options.Listen,
        Name = options.Name,
        HostId = PeerIdentity.HostId(),
        Labels = options.Labels,
        ClusterKey = options.ClusterKey,
        Paths = options.Paths,
        RdmaDevices = options.RdmaDevices,
        RdmaGidIndex = options.RdmaGidIndex,
        RdmaTrafficClass = options.RdmaTrafficClass,
        UploadBytesPerSecond = options.UploadBytesPerSecond,
        DownloadBytesPerSecond = options.DownloadBytesPerSecond,
        NoSourceTimeout = options.NoSourceTimeout,
    };
}
