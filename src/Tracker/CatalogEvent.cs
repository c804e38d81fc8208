using P2PWeights.Store.Content;

namespace P2PWeights.Tracker;

/// <summary>Something happened in the catalog.</summary>
/// <param name="Number">Grows by one with each event.</param>
/// <param name="Kind"><c>published</c>, <c>removed</c>, <c>tagged</c>.</param>
/// <param name="Checkpoint"><c>name@version</c>, or <c>name@tag</c>.</param>
/// <param name="Manifest">The manifest concerned.</param>
public sealed record CatalogEvent(long Number, string Kind, string Checkpoint, Digest Manifest);
