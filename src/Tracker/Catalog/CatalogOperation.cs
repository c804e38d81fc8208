namespace P2PWeights.Tracker.Catalog;

/// <summary>One change of the catalog: what the journal holds, one entry each.</summary>
/// <param name="Number">One more than that of the change before; also the number of the <see cref="CatalogEvent"/> it causes.</param>
/// <param name="Name">Name of the checkpoint, without version.</param>
internal abstract record CatalogOperation(long Number, string Name);

/// <summary>A version became visible.</summary>
internal sealed record PublishOperation(long Number, string Name, PublishedVersion Published) : CatalogOperation(Number, Name);

/// <summary>A tag was set, or moved, to a version.</summary>
internal sealed record TagOperation(long Number, string Name, string Tag, string Version) : CatalogOperation(Number, Name);

/// <summary>A version, with the tags that point at it, or a tag was removed.</summary>
internal sealed record RemoveOperation(long Number, string Name, string VersionOrTag) : CatalogOperation(Number, Name);
