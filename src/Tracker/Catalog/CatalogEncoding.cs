using System.Buffers;
using System.Collections.Immutable;
using P2PWeights.Store.Content;
using P2PWeights.Store.Serialization;
using static P2PWeights.Tracker.Wire.WireValues;

namespace P2PWeights.Tracker.Catalog;

/// <summary>
/// The bytes of the catalog on disk, in MessagePack. A journal entry is an array: number, kind (<c>p</c>, <c>t</c>, <c>r</c>), name, and the kind's own
/// values. A snapshot is an array: format version, last number, names with their versions and tags, events.
/// </summary>
internal static class CatalogEncoding
{
    private const int SnapshotFormat = 1;

    public static byte[] Encode(CatalogOperation operation)
    {
        var buffer = new ArrayBufferWriter<byte>(256);
        var writer = new MessagePackWriter(buffer);
        writer.WriteArrayHeader(operation is TagOperation ? 5 : 4);
        writer.Write(operation.Number);
        switch (operation)
        {
            case PublishOperation publish:
                writer.Write("p");
                writer.Write(publish.Name);
                WriteVersion(ref writer, publish.Published);
                break;
            case TagOperation tag:
                writer.Write("t");
                writer.Write(tag.Name);
                writer.Write(tag.Tag);
                writer.Write(tag.Version);
                break;
            case RemoveOperation remove:
                writer.Write("r");
                writer.Write(remove.Name);
                writer.Write(remove.VersionOrTag);
                break;
            default:
                throw new ArgumentException("no known kind of change", nameof(operation));
        }

        writer.Flush();
        return buffer.WrittenSpan.ToArray();
    }

    /// <exception cref="MessagePackSerializationException">The bytes are not a journal entry.</exception>
    public static CatalogOperation DecodeOperation(ReadOnlyMemory<byte> bytes)
    {
        var reader = new MessagePackReader(bytes);
        reader.ReadArrayHeader();
        var number = reader.ReadInt64();
        var kind = ReadText(ref reader);
        var name = ReadText(ref reader);
        return kind switch
        {
            "p" => new PublishOperation(number, name, ReadVersion(ref reader)),
            "t" => new TagOperation(number, name, ReadText(ref reader), ReadText(ref reader)),
            "r" => new RemoveOperation(number, name, ReadText(ref reader)),
            _ => throw new MessagePackSerializationException($"catalog change {number} is of no known kind"),
        };
    }

    public static byte[] Encode(CatalogState state)
    {
        var buffer = new ArrayBufferWriter<byte>(4096);
        var writer = new MessagePackWriter(buffer);
        writer.WriteArrayHeader(4);
        writer.Write(SnapshotFormat);
        writer.Write(state.LastNumber);
        writer.WriteArrayHeader(state.Entries.Count);
        foreach (var entry in state.Entries.Values)
        {
            writer.WriteArrayHeader(3);
            writer.Write(entry.Name);
            WriteArray(ref writer, [.. entry.Versions.Values], WriteVersion);
            writer.WriteMapHeader(entry.Tags.Count);
            foreach (var (tag, version) in entry.Tags)
            {
                writer.Write(tag);
                writer.Write(version);
            }
        }

        WriteArray(ref writer, [.. state.Events], WriteEvent);
        writer.Flush();
        return buffer.WrittenSpan.ToArray();
    }

    /// <exception cref="MessagePackSerializationException">The bytes are not a snapshot of this format.</exception>
    public static CatalogState DecodeSnapshot(ReadOnlyMemory<byte> bytes)
    {
        var reader = new MessagePackReader(bytes);
        reader.ReadArrayHeader();
        var format = reader.ReadInt32();
        if (format != SnapshotFormat)
        {
            throw new MessagePackSerializationException($"the snapshot has format {format}; this version reads {SnapshotFormat}");
        }

        var last = reader.ReadInt64();
        var entries = CatalogState.Empty.Entries.ToBuilder();
        var references = new Dictionary<Digest, int>();
        for (var names = reader.ReadArrayHeader(); names > 0; names--)
        {
            var entry = ReadEntry(ref reader);
            entries.Add(entry.Name, entry);
            foreach (var version in entry.Versions.Values)
            {
                references[version.Manifest] = references.GetValueOrDefault(version.Manifest) + 1;
            }
        }

        return new CatalogState(entries.ToImmutable(), references.ToImmutableDictionary(), [.. ReadArray(ref reader, ReadEvent)], last);
    }

    private static CatalogEntry ReadEntry(ref MessagePackReader reader)
    {
        reader.ReadArrayHeader();
        var entry = CatalogEntry.Empty(ReadText(ref reader));
        var versions = entry.Versions.ToBuilder();
        foreach (var version in ReadArray(ref reader, ReadVersion))
        {
            versions.Add(version.Version, version);
        }

        var tags = entry.Tags.ToBuilder();
        for (var count = reader.ReadMapHeader(); count > 0; count--)
        {
            tags.Add(ReadText(ref reader), ReadText(ref reader));
        }

        return entry with { Versions = versions.ToImmutable(), Tags = tags.ToImmutable() };
    }

    private static void WriteVersion(ref MessagePackWriter writer, PublishedVersion version)
    {
        writer.WriteArrayHeader(6);
        writer.Write(version.Version);
        WriteDigest(ref writer, version.Manifest);
        writer.Write(version.Bytes);
        writer.Write(version.Files);
        writer.Write(version.Shards);
        writer.Write(version.At.UtcTicks);
    }

    private static PublishedVersion ReadVersion(ref MessagePackReader reader)
    {
        reader.ReadArrayHeader();
        return new PublishedVersion(
            ReadText(ref reader), ReadDigest(ref reader), reader.ReadInt64(), reader.ReadInt32(), reader.ReadInt32(), new DateTimeOffset(reader.ReadInt64(), TimeSpan.Zero));
    }

    private static void WriteEvent(ref MessagePackWriter writer, CatalogEvent happened)
    {
        writer.WriteArrayHeader(4);
        writer.Write(happened.Number);
        writer.Write(happened.Kind);
        writer.Write(happened.Checkpoint);
        WriteDigest(ref writer, happened.Manifest);
    }

    private static CatalogEvent ReadEvent(ref MessagePackReader reader)
    {
        reader.ReadArrayHeader();
        return new CatalogEvent(reader.ReadInt64(), ReadText(ref reader), ReadText(ref reader), ReadDigest(ref reader));
    }
}
