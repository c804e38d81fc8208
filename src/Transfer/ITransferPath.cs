using P2PWeights.Store;
using P2PWeights.Store.Content;

namespace P2PWeights.Transfer;

/// <summary>
/// A way to move a shard from a peer: the seam that <c>local</c>, <c>nvlink</c>, <c>rdma</c> and <c>tcp</c> stand behind. A path moves bytes and reports
/// what happened; it does not verify (the store's commit does), retry, or choose (the pull does).
/// </summary>
public interface ITransferPath
{
    /// <summary>The path's word: <c>tcp</c>, <c>local</c>, <c>rdma</c>, <c>nvlink</c>.</summary>
    string Name { get; }

    /// <summary>Prepares the path to one peer, over an established session with it.</summary>
    /// <returns>The channel, or the reason why this path does not reach this peer now.</returns>
    ValueTask<PathOpening> OpenAsync(PeerSession peer, CancellationToken cancellationToken);
}

/// <summary>What became of opening a path to a peer: a channel, owned by the caller, or a reason for people, never both.</summary>
public readonly record struct PathOpening
{
    private PathOpening(IPathChannel? channel, string? reason) => (Channel, Reason) = (channel, reason);

    /// <summary>The open channel; null when the path does not reach the peer.</summary>
    public IPathChannel? Channel { get; }

    /// <summary>Why there is no channel: one clause that names what was looked at, <c>the peer's arena is not on this host</c>.</summary>
    public string? Reason { get; }

    public static PathOpening Open(IPathChannel channel) => new(channel, null);

    public static PathOpening Unreachable(string reason) => new(null, reason);
}

/// <summary>A path to one peer. Many fetches may run at the same time.</summary>
public interface IPathChannel : IAsyncDisposable
{
    /// <summary>
    /// Whether that it could be opened shows that this path sees the peer's bytes, as the proof of a common host does: then no shard is waited for as the path's proof. What such a path brings is
    /// verified like everything else, and if it fails it is demoted like any other.
    /// </summary>
    bool IsProved => false;

    /// <summary>
    /// Has the store take the shard from where the peer keeps it, without its bytes passing through a buffer of this node. Only a path that sees the peer's memory or
    /// files can; all others answer <see cref="FetchStatus.NotAdopted"/>, and the shard is fetched.
    /// </summary>
    /// <param name="target">As in <see cref="ShardStore.BeginWriteAsync"/>.</param>
    /// <param name="received">Told 0 for each sign that the peer is at it, so that it does not count as stalled.</param>
    ValueTask<FetchOutcome> AdoptAsync(ShardInfo shard, ShardTarget target, Action<int> received, CancellationToken cancellationToken) =>
        ValueTask.FromResult(new FetchOutcome(FetchStatus.NotAdopted));

    /// <summary>
    /// Fills <see cref="ShardWrite.Buffer"/> with the peer's bytes of that shard. Ends only in an outcome or a cancellation; a failed fetch may have written
    /// part of the buffer. After cancellation the buffer is no longer written to.
    /// </summary>
    /// <param name="write">Where the bytes go; stays owned by the caller.</param>
    /// <param name="received">Told the number of new bytes as they come, so that a stall can be seen; 0 for other signs that the peer is at it.</param>
    ValueTask<FetchOutcome> FetchAsync(ShardWrite write, Action<int> received, CancellationToken cancellationToken);

    /// <summary>
    /// Takes the reason, a word of <see cref="FailureReasons"/>, why a part of the path was lost while the rest went on and took its work over: such a loss fails no fetch, so that nothing else would
    /// tell of it. Null when there is none that was not taken yet.
    /// </summary>
    string? TakeLoss() => null;
}

/// <summary>How a fetch ended.</summary>
/// <param name="Status">The kind of end.</param>
/// <param name="RetryAfter">With <see cref="FetchStatus.Busy"/>: when to ask this peer again.</param>
/// <param name="Detail">For people and reports, when the status alone does not say it.</param>
/// <param name="Reason">With <see cref="FetchStatus.PathFailed"/>: the one word of <see cref="FailureReasons"/> for metrics and reports.</param>
public readonly record struct FetchOutcome(FetchStatus Status, TimeSpan RetryAfter = default, string? Detail = null, string? Reason = null)
{
    /// <summary>The path failed.</summary>
    /// <param name="reason">A word of <see cref="FailureReasons"/>.</param>
    /// <param name="detail">A clause for people that names what failed.</param>
    public static FetchOutcome Failed(string reason, string detail) => new(FetchStatus.PathFailed, Detail: detail, Reason: reason);
}

/// <summary>Kinds of end of a fetch.</summary>
public enum FetchStatus
{
    /// <summary>The buffer is full (or, of an adoption, the shard is in the store); the bytes of a buffer are not verified yet.</summary>
    Ok,

    /// <summary>The peer does not hold the shard (any more).</summary>
    NotFound,

    /// <summary>The peer has no free upload slot.</summary>
    Busy,

    /// <summary>The connection to the peer broke; other shards asked of it are lost too.</summary>
    Disconnected,

    /// <summary>The peer answered against the protocol: a wrong length, an unknown frame. It is treated like wrong bytes.</summary>
    ProtocolError,

    /// <summary>The shard cannot be taken without a copy: fetch it.</summary>
    NotAdopted,

    /// <summary>This path works and does not carry this shard, because of where the peer has it or where it is to go: another path to the same peer may.</summary>
    NotCarried,

    /// <summary>This path failed, for the reason in the detail, which says nothing of the peer: another path to it may do.</summary>
    PathFailed,
}
