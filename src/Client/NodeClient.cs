using P2PWeights.Tracker;
using P2PWeights.Transfer;

namespace P2PWeights.Client;

/// <summary>
/// Typed client of a running node, over its Unix socket (docs/protocol.md). Every call has a deadline except publish, pull, verify and scrub, which report progress instead.
/// </summary>
public sealed class NodeClient : INodeApi, IDisposable
{
    /// <param name="socket">Path of the node's socket.</param>
    /// <exception cref="NodeException"><see cref="NodeError.NotFound"/> on the first call when no node listens there.</exception>
    public NodeClient(string socket) => throw new NotImplementedException();

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

    public void Dispose() => throw new NotImplementedException();
}
