using Microsoft.Extensions.Logging;
using P2PWeights.Tracker;
using P2PWeights.Transfer;

namespace P2PWeights.Client;

/// <summary>
/// The long-lived process per machine, and the one place where store, transfer and tracker are joined: it syncs with the tracker, serves peers, and
/// answers the local API on its Unix socket.
/// </summary>
public sealed class PeerNode : INodeApi, IAsyncDisposable
{
    private PeerNode() => throw new NotImplementedException();

    /// <summary>Opens the store, starts to serve, joins the tracker. A tracker that does not answer yet is no failure: the node serves and keeps trying.</summary>
    /// <exception cref="NodeException">The data folder is in use, or an address cannot be used.</exception>
    public static Task<PeerNode> StartAsync(NodeOptions options, TimeProvider time, ILoggerFactory loggers, CancellationToken cancellationToken) => throw new NotImplementedException();

    /// <summary>Waits until every shard of a checkpoint is held by live peers other than this one.</summary>
    public Task WaitForCopyAsync(string checkpoint, CancellationToken cancellationToken) => throw new NotImplementedException();

    public Task<PublishReport> PublishAsync(PublishRequest request, IProgress<PublishProgress>? progress, CancellationToken cancellationToken) => throw new NotImplementedException();

    public Task<CheckpointPullReport> PullAsync(CheckpointPullRequest request, IProgress<PullProgress>? progress, CancellationToken cancellationToken) => throw new NotImplementedException();

    public Task<VerifyReport> VerifyAsync(string folder, string checkpoint, IProgress<long>? bytesHashed, CancellationToken cancellationToken) => throw new NotImplementedException();

    public Task<NodeScrubReport> ScrubAsync(IProgress<NodeScrubReport>? progress, CancellationToken cancellationToken) => throw new NotImplementedException();

    public Task<NodeStatus> StatusAsync(CancellationToken cancellationToken) => throw new NotImplementedException();

    public Task<IReadOnlyList<PeerStatus>> PeersAsync(CancellationToken cancellationToken) => throw new NotImplementedException();

    public Task<IReadOnlyList<CheckpointInfo>> ListAsync(string? name, CancellationToken cancellationToken) => throw new NotImplementedException();

    public Task<CheckpointDetails> ShowAsync(string checkpoint, CancellationToken cancellationToken) => throw new NotImplementedException();

    public Task TagAsync(string checkpoint, string tag, CancellationToken cancellationToken) => throw new NotImplementedException();

    public Task RemoveAsync(string checkpoint, CancellationToken cancellationToken) => throw new NotImplementedException();

    /// <summary>Stops: says goodbye to the tracker, ends pulls, closes the store.</summary>
    public ValueTask DisposeAsync() => throw new NotImplementedException();
}
