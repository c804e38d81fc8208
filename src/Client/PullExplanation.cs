using P2PWeights.Store.Content;
using P2PWeights.Transfer;

namespace P2PWeights.Client;

/// <summary>What a pull did, or is doing, and what it waited for: the answer to <c>p2pw why</c>.</summary>
/// <param name="Checkpoint"><c>name@version</c>, tags resolved as soon as they are.</param>
/// <param name="Manifest">Digest of the manifest; null before it is known.</param>
/// <param name="Folder">Target folder; null for the tiers.</param>
/// <param name="State">How it stands.</param>
/// <param name="StartedAt">When it began.</param>
/// <param name="Elapsed">Wall time until now, or until its end.</param>
/// <param name="Phases">Where that time went, in order; the last one is under way while the pull runs.</param>
/// <param name="Progress">How far it is, or came.</param>
/// <param name="Transfer">Bytes, sources and paths; null when it did not come to a transfer.</param>
/// <param name="Limit">What it waited for most; null when there was nothing to wait for.</param>
/// <param name="Failure">Why it failed; null while it did not.</param>
public sealed record PullExplanation(
    string Checkpoint, Digest? Manifest, string? Folder, PullState State, DateTimeOffset StartedAt, TimeSpan Elapsed,
    IReadOnlyList<PullPhase> Phases, PullProgress Progress, PullReport? Transfer, PullLimit? Limit, string? Failure);

/// <summary>How a pull stands.</summary>
public enum PullState
{
    Running,
    Done,
    Failed,

    /// <summary>Its caller went away, or the node was stopped. What was fetched is kept.</summary>
    Cancelled,
}

/// <summary>One part of a pull's time.</summary>
/// <param name="Name">See <see cref="PullPhases"/>.</param>
public sealed record PullPhase(string Name, TimeSpan Elapsed);

/// <summary>The words of <see cref="PullPhase.Name"/>.</summary>
public static class PullPhases
{
    /// <summary>Asking the tracker for the checkpoint, and for its manifest.</summary>
    public const string Resolving = "resolving";

    /// <summary>Hashing what lies in the target folder.</summary>
    public const string Checking = "checking";

    /// <summary>Fetching what is missing.</summary>
    public const string Fetching = "fetching";

    /// <summary>Syncing the files and giving them their names.</summary>
    public const string Completing = "completing";
}
