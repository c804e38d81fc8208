using System.Collections.Immutable;

namespace P2PWeights.Tracker.Catalog;

/// <summary>All versions and tags of one name. A tag is never named like a version of the same name, so either can stand behind the <c>@</c>.</summary>
internal sealed record CatalogEntry(
    string Name,
    ImmutableSortedDictionary<string, PublishedVersion> Versions,
    ImmutableSortedDictionary<string, string> Tags)
{
    public static CatalogEntry Empty(string name) => new(
        name,
        ImmutableSortedDictionary.Create<string, PublishedVersion>(StringComparer.Ordinal),
        ImmutableSortedDictionary.Create<string, string>(StringComparer.Ordinal));

    /// <summary>The version under its own name or under a tag; null when there is none.</summary>
    public PublishedVersion? Find(string versionOrTag) =>
        Versions.GetValueOrDefault(Tags.GetValueOrDefault(versionOrTag, versionOrTag));

    /// <summary>Tags that point at a version, in order.</summary>
    public ImmutableArray<string> TagsOf(string version) => [.. Tags.Where(tag => tag.Value == version).Select(tag => tag.Key)];
}
