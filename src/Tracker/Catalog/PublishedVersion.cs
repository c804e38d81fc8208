using P2PWeights.Store.Content;

namespace P2PWeights.Tracker.Catalog;

/// <summary>A visible version of a checkpoint.</summary>
/// <param name="Version">Version, without the name.</param>
/// <param name="Manifest">Its content.</param>
/// <param name="Bytes">Sum of file sizes.</param>
/// <param name="Files">Number of files.</param>
/// <param name="Shards">Number of distinct shards.</param>
/// <param name="At">When it became visible, in UTC.</param>
internal sealed record PublishedVersion(string Version, Digest Manifest, long Bytes, int Files, int Shards, DateTimeOffset At);
