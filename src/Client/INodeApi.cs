using P2PWeights.Tracker;
using P2PWeights.Transfer;

namespace P2PWeights.Client;

/// <summary>
/// What a user can ask of a node: implemented by <see cref="PeerNode"/> in its own process and by <see cref="NodeClient"/> over the node's Unix socket,
/// so that a command works the same with a running node and with one started inside it. Failures come as <see cref="NodeException"/>.
/// </summary>
public interface INodeApi
{
    /// <summary>Publishes a folder; returns once the checkpoint is visible (or was already, with the same content).</summary>
    Task<PublishReport> PublishAsync(PublishRequest request, IProgress<PublishProgress>? progress, CancellationToken cancellationToken);

    /// <summary>Pulls a checkpoint into the tiers, or into a folder.</summary>
    Task<CheckpointPullReport> PullAsync(CheckpointPullRequest request, IProgress<PullProgress>? progress, CancellationToken cancellationToken);

    /// <summary>
    /// Brings a checkpoint into running engines of the node's host, pulling what the node does not hold. The report says what became of each engine; look at
    /// <see cref="UpdateReport.IsComplete"/>.
    /// </summary>
    /// <remarks>
    /// Once engines may have been changed, an update ends with its report also when it was cancelled (<see cref="UpdateReport.Cancelled"/>) or broke off
    /// (<see cref="UpdateReport.Failure"/>), because what each holds must be known. An exception means that no engine was changed.
    /// </remarks>
    /// <exception cref="NodeException">It could not begin: the checkpoint, the engines or the GPUs do not allow it.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled before any engine was asked.</exception>
    Task<UpdateReport> UpdateAsync(UpdateRequest request, IProgress<UpdateProgress>? progress, CancellationToken cancellationToken);

    /// <summary>Compares a folder with a checkpoint's manifest.</summary>
    Task<VerifyReport> VerifyAsync(string folder, string checkpoint, IProgress<long>? bytesHashed, CancellationToken cancellationToken);

    /// <summary>Re-hashes what the node holds and repairs from peers what was wrong.</summary>
    Task<NodeScrubReport> ScrubAsync(IProgress<NodeScrubReport>? progress, CancellationToken cancellationToken);

    /// <summary>The node's state.</summary>
    Task<NodeStatus> StatusAsync(CancellationToken cancellationToken);

    /// <summary>The peers that this node talks to.</summary>
    Task<IReadOnlyList<PeerStatus>> PeersAsync(CancellationToken cancellationToken);

    /// <summary>
    /// What a pull of this node did or is doing: the newest running one of the checkpoint, else the newest that ended. Running pulls and the last
    /// 64 that ended are remembered until the node stops.
    /// </summary>
    /// <param name="checkpoint">As it was asked for, or with its tag resolved.</param>
    /// <exception cref="NodeException"><see cref="NodeError.NotFound"/>: no such pull is remembered; the message names those that are.</exception>
    Task<PullExplanation> WhyAsync(string checkpoint, CancellationToken cancellationToken);

    /// <summary>All checkpoints in the catalog, or those of one name.</summary>
    Task<IReadOnlyList<CheckpointInfo>> ListAsync(string? name, CancellationToken cancellationToken);

    /// <summary>One checkpoint with its files and tensors; a version or a tag names it.</summary>
    /// <exception cref="NodeException"><see cref="NodeError.NotFound"/>, with the closest names.</exception>
    Task<CheckpointDetails> ShowAsync(string checkpoint, CancellationToken cancellationToken);

    /// <summary>The swarm of a checkpoint, as its nodes told the tracker, with at most so many of them: those that have most left to pull.</summary>
    /// <exception cref="NodeException"><see cref="NodeError.NotFound"/>, with the closest names.</exception>
    Task<SwarmStatus> SwarmAsync(string checkpoint, int members, CancellationToken cancellationToken);

    /// <summary>Points a tag at a version.</summary>
    Task TagAsync(string checkpoint, string tag, CancellationToken cancellationToken);

    /// <summary>Removes a version or a tag from the catalog.</summary>
    Task RemoveAsync(string checkpoint, CancellationToken cancellationToken);
}
