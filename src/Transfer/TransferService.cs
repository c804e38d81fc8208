using System.Net;
using Microsoft.Extensions.Logging;
using P2PWeights.Store;
using P2PWeights.Store.Content;

namespace P2PWeights.Transfer;

/// <summary>
/// Moves shards between this node's store and its peers: serves what the store holds, and pulls sets of shards from many sources at once.
/// The one entry of this project. Knows nothing of the tracker: whoever owns it tells it which peers are neighbours in which swarm.
/// </summary>
public sealed class TransferService : IAsyncDisposable
{
    public TransferService(ShardStore store, TransferOptions options, TimeProvider time, ILoggerFactory loggers) => throw new NotImplementedException();

    /// <summary>Starts to listen and serve.</summary>
    /// <exception cref="TransferException">The address cannot be used.</exception>
    public Task StartAsync(CancellationToken cancellationToken) => throw new NotImplementedException();

    /// <summary>Where it listens, after <see cref="StartAsync"/>.</summary>
    public IPEndPoint LocalEndPoint => throw new NotImplementedException();

    /// <summary>Enters the swarm of a manifest: peers may subscribe to it here and are told what the store gains and loses. Idempotent.</summary>
    public void Join(Manifest manifest) => throw new NotImplementedException();

    /// <summary>Leaves a swarm. Its shards are still served to whoever asks by digest.</summary>
    public void Leave(Digest manifest) => throw new NotImplementedException();

    /// <summary>The swarms joined.</summary>
    public IReadOnlyList<Digest> Swarms => throw new NotImplementedException();

    /// <summary>Replaces the known neighbours in a swarm. Running pulls take new ones up and keep working connections to old ones.</summary>
    public void SetNeighbours(Digest manifest, IReadOnlyList<PeerInfo> neighbours) => throw new NotImplementedException();

    /// <summary>
    /// Pulls shards into the store (or the request's folder) from the swarm's neighbours. Joins the swarm if need be; every shard is announced and served
    /// from the moment it is verified. Shards that the store holds already are not fetched.
    /// </summary>
    /// <exception cref="TransferException">No sources, or deadline; what was fetched is kept.</exception>
    /// <exception cref="StoreException">The disk is full or failed; what was fetched is kept.</exception>
    public Task<PullReport> PullAsync(PullRequest request, IProgress<PullProgress>? progress, CancellationToken cancellationToken) => throw new NotImplementedException();

    /// <summary>The peers talked to, with what was moved and why any is banned.</summary>
    public IReadOnlyList<PeerStatus> Peers => throw new NotImplementedException();

    /// <summary>Bytes and shards served since the start.</summary>
    public (long Shards, long Bytes) Served => throw new NotImplementedException();

    public ValueTask DisposeAsync() => throw new NotImplementedException();
}
