namespace P2PWeights.Transfer.Leasing;

/// <summary>What became of asking for a lease; the statuses mean what they mean of a fetch.</summary>
/// <param name="Status"><see cref="FetchStatus.Ok"/> with a lease; <see cref="FetchStatus.PathFailed"/> when the peer gives none, for the reason in the detail.</param>
/// <param name="Lease">The lease, owned by the caller; null when there is none.</param>
/// <param name="RetryAfter">With <see cref="FetchStatus.Busy"/>: when to ask this peer again.</param>
/// <param name="Detail">For people and reports, when the status alone does not say it.</param>
/// <param name="Reason">The word of <see cref="FailureReasons"/> for that, when there is one.</param>
internal readonly record struct LocateOutcome(FetchStatus Status, SourceLease? Lease = null, TimeSpan RetryAfter = default, string? Detail = null, string? Reason = null)
{
    /// <summary>The outcome of a fetch that got no lease.</summary>
    public FetchOutcome ToFetch() => new(Status, RetryAfter, Detail, Reason);
}
