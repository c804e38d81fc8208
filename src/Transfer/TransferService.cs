using System.Net;
using Microsoft.Extensions.Logging;
using P2PWeights.Store;
using P2PWeights.Store.Content;
using P2PWeights.Transfer.Connections;
using P2PWeights.Transfer.Paths.Local;
using P2PWeights.Transfer.Paths.Nvlink;
using P2PWeights.Transfer.Paths.Rdma;
using P2PWeights.Transfer.Paths.Tcp;
using P2PWeights.Transfer.Pulling;
using P2PWeights.Transfer.Serving;
using P2PWeights.Transfer.Sessions;
using P2PWeights.Transfer.Swarms;

namespace P2PWeights.Transfer;

/// <summary>
/// Moves shards between this node's store and its peers: serves what the store holds, and pulls sets of shards from many sources at once.
/// The one entry of this project. Knows nothing of the tracker: whoever owns it tells it which peers are neighbours in which swarm.
/// Thread-safe. Disposing ends running pulls and connections and awaits them; the store, which is not owned, must outlive it.
/// </summary>
public sealed class TransferService : IAsyncDisposable
{
    private readonly TransferOptions _options;
    private readonly ILogger _log;
    private readonly TransferMetrics _metrics = new();
    private readonly ByteRate _uploadRate;
    private readonly ByteRate _downloadRate;
    private readonly ConnectionWatch _watch;
    private readonly SwarmRegistry _swarms;
    private readonly PeerBook _peers;
    private readonly RdmaHost? _rdma;
    private readonly ServingContext _serving;
    private readonly PeerServer _server;
    private readonly LocalPath _local;
    private readonly PullContext _pulling;
    private readonly CancellationTokenSource _stop = new();
    private readonly OwnedTasks _pulls = new();

    /// <exception cref="ArgumentException">An option is out of its range; the message says which.</exception>
    public TransferService(ShardStore store, TransferOptions options, TimeProvider time, ILoggerFactory loggers)
        : this(store, options, time, loggers, null)
    {
    }

    /// <param name="paths">Makes the path of a name, in place of the service's own; null for those it leaves alone. For tests.</param>
    internal TransferService(ShardStore store, TransferOptions options, TimeProvider time, ILoggerFactory loggers, Func<string, ITransferPath?>? paths)
    {
        TransferOptionsCheck.Require(options);
        if (store.Gpus.Count == 0 && options.Paths.Any(path => path != PathNames.Nvlink))
        {
            // It could reach nobody, and would stand in every report as a path that failed.
            options = options with { Paths = [.. options.Paths.Where(path => path != PathNames.Nvlink)] };
        }

        _options = options;
        _log = loggers.CreateLogger<TransferService>();
        _uploadRate = new ByteRate(options.UploadBytesPerSecond, time);
        _downloadRate = new ByteRate(options.DownloadBytesPerSecond, time);
        _watch = new ConnectionWatch(time);
        _swarms = new SwarmRegistry(store, time);
        _peers = new PeerBook(options, _metrics, time, _log);
        var identity = new Identity(store.NodeId, options.Name, options.ClusterKey);
        _rdma = options.Paths.Contains(PathNames.Rdma) ? RdmaHost.Start(options, store.Regions, _log) : null;
        _serving = new ServingContext(store, _swarms, new UploadSlots(options.UploadSlots), options.MaxFileLeases, _uploadRate, _metrics, time, _log)
        {
            Queues = _rdma is null ? null : new RdmaListener(_rdma),
        };
        _server = new PeerServer(identity, _peers, _watch, _serving);
        _local = new LocalPath(store, time, _log);
        var makers = new Dictionary<string, Func<ITransferPath>>
        {
            [PathNames.Nvlink] = () => new NvlinkPath(store),
            [PathNames.Local] = () => _local,
            [PathNames.Rdma] = () => new RdmaPath(_rdma!, _downloadRate, time),
            [PathNames.Tcp] = () => new TcpPath(options.LanesPerPeer, options.StallTimeout, _downloadRate),
        };
        var sessions = new SessionPool(new Dialler(identity, _watch, time), [.. options.Paths.Select(name => paths?.Invoke(name) ?? makers[name]())], _peers, time);
        _pulling = new PullContext(store.NodeId, store, _swarms, sessions, _peers, new FlightTable(), options,
            digest => NeighboursWanted?.Invoke(digest), _metrics, time, _log);
    }

    /// <summary>Starts to listen and serve.</summary>
    /// <exception cref="TransferException">The address cannot be used.</exception>
    public async Task StartAsync(CancellationToken cancellationToken)
    {
        await _server.StartAsync(_options.Listen, cancellationToken).ConfigureAwait(false);
        _log.Listening(LocalEndPoint.ToString());
    }

    /// <summary>Where it listens, after <see cref="StartAsync"/>.</summary>
    public IPEndPoint LocalEndPoint => _server.LocalEndPoint;

    /// <summary>Enters the swarm of a manifest: peers may subscribe to it here and are told what the store gains and loses. Idempotent.</summary>
    public void Join(Manifest manifest) => _swarms.Join(manifest);

    /// <summary>The same for a node that published the manifest: peers ask it for what nobody else holds, and it sends every shard once before any twice.</summary>
    public void JoinAsPublisher(Manifest manifest) => _swarms.JoinAsPublisher(manifest);

    /// <summary>Leaves a swarm. Its shards are still served to whoever asks by digest.</summary>
    public void Leave(Digest manifest) => _swarms.Leave(manifest);

    /// <summary>
    /// Raised while a pull runs and peers turn up that are not among the swarm's neighbours, at most twice a second: whoever knows the neighbours should bring
    /// them up to date, so that nodes which start together learn of each other at once. Handlers must not block.
    /// </summary>
    public event Action<Digest>? NeighboursWanted;

    /// <summary>
    /// Raised when a peer asks about a swarm that this node is not in: whoever can get the manifest may <see cref="Join"/>, and the peer is told what is held here. Handlers must not block.
    /// </summary>
    public event Action<Digest>? UnknownSwarmAsked
    {
        add => _swarms.UnknownAsked += value;
        remove => _swarms.UnknownAsked -= value;
    }

    /// <summary>The swarms joined.</summary>
    public IReadOnlyList<Digest> Swarms => _swarms.Joined;

    /// <summary>A swarm joined; null for others.</summary>
    public JoinedSwarm? Joined(Digest manifest) => _swarms.Find(manifest) is { } swarm ? new JoinedSwarm(swarm) : null;

    /// <summary>The swarms that this node is in whose manifests have the shard, and its ordinal in each.</summary>
    public IEnumerable<(Digest Manifest, int Ordinal)> SwarmsWith(Digest shard) => _swarms.With(shard);

    /// <summary>Replaces the known neighbours in a swarm. Running pulls take new ones up and keep working connections to old ones.</summary>
    public void SetNeighbours(Digest manifest, IReadOnlyList<PeerInfo> neighbours)
    {
        if (_swarms.Find(manifest) is { } swarm)
        {
            swarm.Neighbours = [.. neighbours];
        }
    }

    /// <summary>
    /// Pulls shards into the store (or the request's folder) from the swarm's neighbours. Joins the swarm if need be; every shard is announced and served
    /// from the moment it is verified. Shards that the store holds already are not fetched.
    /// </summary>
    /// <exception cref="TransferException">No sources, or deadline; what was fetched is kept.</exception>
    /// <exception cref="StoreException">The disk is full or failed; what was fetched is kept.</exception>
    public async Task<PullReport> PullAsync(PullRequest request, IProgress<PullProgress>? progress, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(request);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(_stop.Token, cancellationToken);
        var pull = new Pull(_pulling, request, progress, new Random());
        var running = Task.Run(() => pull.RunAsync(either.Token), CancellationToken.None);
        _pulls.Add(running);
        return await running.ConfigureAwait(false);
    }

    /// <summary>The peers talked to, with what was moved and why any is banned.</summary>
    public IReadOnlyList<PeerStatus> Peers =>
        [.. _peers.Statuses.Select(peer => !peer.Connected && _local.IsLending(peer.Peer.Id) ? peer with { Connected = true, Path = PathNames.Local } : peer)];

    /// <summary>The node's RDMA devices; null when the path is not among the allowed ones.</summary>
    internal RdmaHost? Rdma => _rdma;

    /// <summary>What this service measures.</summary>
    internal TransferMetrics Metrics => _metrics;

    /// <summary>Bytes and shards served since the start.</summary>
    public (long Shards, long Bytes) Served => _serving.Served;

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        await _pulls.WaitAsync().ConfigureAwait(false);
        await _pulling.Sessions.DisposeAsync().ConfigureAwait(false);
        await _local.DisposeAsync().ConfigureAwait(false);
        await _server.DisposeAsync().ConfigureAwait(false);
        await _watch.DisposeAsync().ConfigureAwait(false);
        if (_rdma is not null)
        {
            await _rdma.DisposeAsync().ConfigureAwait(false);
        }

        _swarms.Dispose();
        _metrics.Dispose();
        _stop.Dispose();
    }
}
