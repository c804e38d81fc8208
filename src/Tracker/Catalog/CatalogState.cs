using System.Collections.Immutable;
using P2PWeights.Store.Content;

namespace P2PWeights.Tracker.Catalog;

/// <summary>The whole catalog at one moment: immutable, replaced whole by <see cref="Apply"/>, so readers need no lock.</summary>
/// <param name="Entries">By name.</param>
/// <param name="References">How many versions point at each manifest.</param>
/// <param name="Events">The last events, oldest first, at most <see cref="KeptEvents"/>.</param>
/// <param name="LastNumber">Number of the last change.</param>
internal sealed record CatalogState(
    ImmutableSortedDictionary<string, CatalogEntry> Entries,
    ImmutableDictionary<Digest, int> References,
    ImmutableList<CatalogEvent> Events,
    long LastNumber)
{
    /// <summary>Events kept for peers that ask what they missed.</summary>
    public const int KeptEvents = 1024;

    /// <summary>Events in one answer.</summary>
    public const int EventsPerAnswer = 256;

    public static CatalogState Empty { get; } = new(
        ImmutableSortedDictionary.Create<string, CatalogEntry>(StringComparer.Ordinal), ImmutableDictionary<Digest, int>.Empty, [], 0);

    /// <summary>Visible versions.</summary>
    public int Versions => Entries.Values.Sum(entry => entry.Versions.Count);

    /// <summary>The entry of a name; an empty one when there is none.</summary>
    public CatalogEntry Entry(string name) => Entries.GetValueOrDefault(name) ?? CatalogEntry.Empty(name);

    /// <summary>
    /// Events after a number, oldest first. A number beyond the last one is from a catalog that is no more: then, as for 0, everything that is kept.
    /// </summary>
    public ImmutableArray<CatalogEvent> EventsAfter(long number)
    {
        var after = number > LastNumber ? 0 : number;
        if (after == LastNumber)
        {
            return [];
        }

        // Numbers have no gaps, so the first event wanted can be computed.
        var skip = (int)Math.Clamp(after - (LastNumber - Events.Count), 0, Events.Count);
        return [.. Events.Skip(skip).Take(EventsPerAnswer)];
    }

    /// <summary>The catalog after one more change.</summary>
    /// <exception cref="InvalidDataException">The change does not fit this state: it is not the next one, or what it touches is not there.</exception>
    public CatalogState Apply(CatalogOperation operation)
    {
        if (operation.Number != LastNumber + 1)
        {
            throw new InvalidDataException($"catalog change {operation.Number} follows change {LastNumber}");
        }

        var entry = Entry(operation.Name);
        return operation switch
        {
            PublishOperation publish => Published(entry, publish),
            TagOperation tag => Tagged(entry, tag),
            RemoveOperation remove => Removed(entry, remove),
            _ => throw new InvalidDataException($"catalog change {operation.Number} is of no known kind"),
        };
    }

    private CatalogState Published(CatalogEntry entry, PublishOperation publish)
    {
        var version = publish.Published;
        if (entry.Find(version.Version) is not null)
        {
            throw new InvalidDataException($"catalog change {publish.Number} publishes {entry.Name}@{version.Version}, which exists");
        }

        return With(entry with { Versions = entry.Versions.Add(version.Version, version) }, publish.Number, "published", version.Version, version.Manifest) with
        {
            References = References.SetItem(version.Manifest, References.GetValueOrDefault(version.Manifest) + 1),
        };
    }

    private CatalogState Tagged(CatalogEntry entry, TagOperation tag)
    {
        if (!entry.Versions.TryGetValue(tag.Version, out var version) || entry.Versions.ContainsKey(tag.Tag))
        {
            throw new InvalidDataException($"catalog change {tag.Number} points {entry.Name}@{tag.Tag} at {tag.Version}, which cannot be");
        }

        return With(entry with { Tags = entry.Tags.SetItem(tag.Tag, tag.Version) }, tag.Number, "tagged", tag.Tag, version.Manifest);
    }

    private CatalogState Removed(CatalogEntry entry, RemoveOperation remove)
    {
        var version = entry.Find(remove.VersionOrTag)
            ?? throw new InvalidDataException($"catalog change {remove.Number} removes {entry.Name}@{remove.VersionOrTag}, which does not exist");
        if (entry.Tags.ContainsKey(remove.VersionOrTag))
        {
            return With(entry with { Tags = entry.Tags.Remove(remove.VersionOrTag) }, remove.Number, "removed", remove.VersionOrTag, version.Manifest);
        }

        var left = entry with
        {
            Versions = entry.Versions.Remove(version.Version),
            Tags = entry.Tags.RemoveRange(entry.TagsOf(version.Version)),
        };
        var references = References[version.Manifest] - 1;
        return With(left, remove.Number, "removed", version.Version, version.Manifest) with
        {
            References = references == 0 ? References.Remove(version.Manifest) : References.SetItem(version.Manifest, references),
        };
    }

    private CatalogState With(CatalogEntry entry, long number, string kind, string versionOrTag, Digest manifest)
    {
        var events = Events.Add(new CatalogEvent(number, kind, $"{entry.Name}@{versionOrTag}", manifest));
        return this with
        {
            Entries = entry.Versions.IsEmpty ? Entries.Remove(entry.Name) : Entries.SetItem(entry.Name, entry),
            Events = events.Count > KeptEvents ? events.RemoveAt(0) : events,
            LastNumber = number,
        };
    }
}
