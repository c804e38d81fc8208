using P2PWeights.Client;
using P2PWeights.Store.Content;
using P2PWeights.Tracker;

namespace P2PWeights.Cli.Targets;

/// <summary>The catalog through a running node.</summary>
internal sealed class NodeCatalog(NodeClient node) : ICatalog
{
    public Task<IReadOnlyList<CheckpointInfo>> ListAsync(string? name, CancellationToken cancellationToken) =>
        node.ListAsync(name, cancellationToken);

    public Task<CheckpointDetails> ShowAsync(CheckpointName checkpoint, CancellationToken cancellationToken) =>
        node.ShowAsync(checkpoint.ToString(), cancellationToken);

    public Task<SwarmStatus> SwarmAsync(CheckpointName checkpoint, int members, CancellationToken cancellationToken) =>
        node.SwarmAsync(checkpoint.ToString(), members, cancellationToken);

    public Task TagAsync(CheckpointName checkpoint, string tag, CancellationToken cancellationToken) =>
        node.TagAsync(checkpoint.ToString(), tag, cancellationToken);

    public Task RemoveAsync(CheckpointName checkpoint, CancellationToken cancellationToken) =>
        node.RemoveAsync(checkpoint.ToString(), cancellationToken);

    public void Dispose() => node.Dispose();
}
