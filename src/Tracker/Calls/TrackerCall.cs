namespace P2PWeights.Tracker.Calls;

/// <summary>One request to a tracker, whichever it will be.</summary>
/// <param name="Method">HTTP method.</param>
/// <param name="Path">Path and query, relative to the tracker's address.</param>
/// <param name="Body">Body in MessagePack; empty for none.</param>
/// <param name="Repeatable">Whether it may be sent again when nobody knows if it arrived.</param>
/// <param name="Large">Whether it carries a manifest, which may take a while.</param>
internal sealed record TrackerCall(HttpMethod Method, string Path, ReadOnlyMemory<byte> Body = default, bool Repeatable = true, bool Large = false);

/// <summary>What a tracker answered: a success, or a refusal that another try would not change.</summary>
internal sealed record TrackerReply(int Status, byte[] Body, Uri Tracker);
