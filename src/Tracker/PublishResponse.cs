using P2PWeights.Store.Content;

namespace P2PWeights.Tracker;

/// <summary>What became of a request to publish.</summary>
public enum PublishOutcome
{
    /// <summary>Visible now.</summary>
    Published,

    /// <summary>The same content stood there already.</summary>
    AlreadyPublished,

    /// <summary>Not visible yet: some shards have no live replica.</summary>
    Staged,

    /// <summary>The name and version stand for other content. Nothing changed.</summary>
    Conflict,
}

/// <summary>Answer to a request to publish.</summary>
/// <param name="Outcome">What became of it.</param>
/// <param name="MissingShards">With <see cref="PublishOutcome.Staged"/>: shards without a live replica.</param>
/// <param name="Existing">With <see cref="PublishOutcome.Conflict"/>: the manifest that stands there.</param>
public sealed record PublishResponse(PublishOutcome Outcome, int MissingShards, Digest? Existing);
