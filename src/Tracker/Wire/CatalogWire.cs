using System.Collections.Immutable;
using System.Globalization;
using P2PWeights.Store.Content;
using P2PWeights.Store.Serialization;
using static P2PWeights.Tracker.Wire.WireValues;

namespace P2PWeights.Tracker.Wire;

/// <summary>The messages about checkpoints in MessagePack.</summary>
internal static class CatalogWire
{
    private static readonly FieldNames InfoFields = new(
        "checkpoint", "name", "version", "tags", "manifest", "bytes", "files", "shards", "publishedAt", "completePeers", "availableShards",
        "lastingCopies");

    private static readonly FieldNames PublishFields = new("request to publish", "manifest");
    private static readonly FieldNames PublishedFields = new("answer to publish", "outcome", "missingShards", "existing");
    private static readonly FieldNames TagFields = new("request to tag", "version");

    public static void WriteInfo(ref MessagePackWriter writer, CheckpointInfo info)
    {
        writer.WriteMapHeader(InfoFields.Count);
        writer.Write("name");
        writer.Write(info.Name);
        writer.Write("version");
        writer.Write(info.Version);
        writer.Write("tags");
        WriteArray(ref writer, info.Tags, WriteText);
        writer.Write("manifest");
        WriteDigest(ref writer, info.Manifest);
        writer.Write("bytes");
        writer.Write(info.Bytes);
        writer.Write("files");
        writer.Write(info.Files);
        writer.Write("shards");
        writer.Write(info.Shards);
        writer.Write("publishedAt");
        writer.Write(info.PublishedAt.ToString("O", CultureInfo.InvariantCulture));
        writer.Write("completePeers");
        writer.Write(info.CompletePeers);
        writer.Write("availableShards");
        writer.Write(info.AvailableShards);
        writer.Write("lastingCopies");
        writer.Write(info.LastingCopies);
    }

    public static CheckpointInfo ReadInfo(ref MessagePackReader reader)
    {
        string name = "", version = "";
        ImmutableArray<string> tags = [];
        Digest manifest = default;
        long bytes = 0;
        int files = 0, shards = 0, complete = 0, available = 0, lasting = 0;
        DateTimeOffset publishedAt = default;
        var fields = MapReader.Start(ref reader, InfoFields);
        while (fields.Next(ref reader) is { } field)
        {
            switch (field)
            {
                case "name":
                    name = ReadText(ref reader);
                    break;
                case "version":
                    version = ReadText(ref reader);
                    break;
                case "tags":
                    tags = ReadArray(ref reader, ReadText);
                    break;
                case "manifest":
                    manifest = ReadDigest(ref reader);
                    break;
                case "bytes":
                    bytes = reader.ReadInt64();
                    break;
                case "files":
                    files = reader.ReadInt32();
                    break;
                case "shards":
                    shards = reader.ReadInt32();
                    break;
                case "publishedAt":
                    publishedAt = ReadTime(ref reader);
                    break;
                case "completePeers":
                    complete = reader.ReadInt32();
                    break;
                case "availableShards":
                    available = reader.ReadInt32();
                    break;
                case "lastingCopies":
                    lasting = reader.ReadInt32();
                    break;
            }
        }

        return new CheckpointInfo(name, version, tags, manifest, bytes, files, shards, publishedAt, complete, available, lasting);
    }

    public static void WritePublish(ref MessagePackWriter writer, PublishRequest request)
    {
        writer.WriteMapHeader(PublishFields.Count);
        writer.Write("manifest");
        WriteDigest(ref writer, request.Manifest);
    }

    public static PublishRequest ReadPublish(ref MessagePackReader reader)
    {
        Digest manifest = default;
        var fields = MapReader.Start(ref reader, PublishFields);
        while (fields.Next(ref reader) is not null)
        {
            manifest = ReadDigest(ref reader);
        }

        return new PublishRequest(manifest);
    }

    public static void WritePublished(ref MessagePackWriter writer, PublishResponse response)
    {
        writer.WriteMapHeader(PublishedFields.Count);
        writer.Write("outcome");
        writer.Write(PublishOutcomeText.Of(response.Outcome));
        writer.Write("missingShards");
        writer.Write(response.MissingShards);
        writer.Write("existing");
        if (response.Existing is { } existing)
        {
            WriteDigest(ref writer, existing);
        }
        else
        {
            writer.WriteNil();
        }
    }

    public static PublishResponse ReadPublished(ref MessagePackReader reader)
    {
        PublishOutcome outcome = default;
        var missing = 0;
        Digest? existing = null;
        var fields = MapReader.Start(ref reader, PublishedFields);
        while (fields.Next(ref reader) is { } field)
        {
            switch (field)
            {
                case "outcome":
                    outcome = PublishOutcomeText.Parse(ReadText(ref reader));
                    break;
                case "missingShards":
                    missing = reader.ReadInt32();
                    break;
                case "existing":
                    existing = reader.TryReadNil() ? null : ReadDigest(ref reader);
                    break;
            }
        }

        return new PublishResponse(outcome, missing, existing);
    }

    public static void WriteTag(ref MessagePackWriter writer, TagRequest request)
    {
        writer.WriteMapHeader(TagFields.Count);
        writer.Write("version");
        writer.Write(request.Version);
    }

    public static TagRequest ReadTag(ref MessagePackReader reader)
    {
        var version = "";
        var fields = MapReader.Start(ref reader, TagFields);
        while (fields.Next(ref reader) is not null)
        {
            version = ReadText(ref reader);
        }

        return new TagRequest(version);
    }

    private static DateTimeOffset ReadTime(ref MessagePackReader reader)
    {
        var text = ReadText(ref reader);
        return DateTimeOffset.TryParseExact(text, "O", CultureInfo.InvariantCulture, DateTimeStyles.None, out var time)
            ? time
            : throw new MessagePackSerializationException("a time is not in the round-trip form of ISO 8601");
    }
}
