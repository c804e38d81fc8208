using System.Collections.Immutable;
using System.Text.Json;
using System.Text.Json.Serialization;
using P2PWeights.Store.Content;

namespace P2PWeights.Tracker.Wire;

/// <summary>The same messages as JSON: the same field names, digests as hex, bitmaps and rarity as base64.</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    RespectNullableAnnotations = true,
    RespectRequiredConstructorParameters = true,
    AllowDuplicateProperties = false,
    MaxDepth = 16,
    Converters = [typeof(DigestJson), typeof(PublishOutcomeJson)])]
[JsonSerializable(typeof(SyncRequest))]
[JsonSerializable(typeof(SyncResponse))]
[JsonSerializable(typeof(PublishRequest))]
[JsonSerializable(typeof(PublishResponse))]
[JsonSerializable(typeof(TagRequest))]
[JsonSerializable(typeof(CheckpointInfo))]
[JsonSerializable(typeof(ImmutableArray<CheckpointInfo>))]
[JsonSerializable(typeof(ImmutableArray<TrackedPeer>))]
[JsonSerializable(typeof(ImmutableArray<string>))]
[JsonSerializable(typeof(TrackerStatus))]
[JsonSerializable(typeof(ErrorBody))]
internal sealed partial class TrackerJson : JsonSerializerContext;

/// <summary>A digest as 64 hex digits.</summary>
internal sealed class DigestJson : JsonConverter<Digest>
{
    public override Digest Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
        reader.TokenType == JsonTokenType.String && Digest.TryParse(reader.GetString(), out var digest)
            ? digest
            : throw new JsonException("a digest is a string of 64 hex digits");

    public override void Write(Utf8JsonWriter writer, Digest value, JsonSerializerOptions options) => writer.WriteStringValue(value.ToString());
}

/// <summary>Outcomes by the same names as in MessagePack.</summary>
internal sealed class PublishOutcomeJson() : JsonStringEnumConverter<PublishOutcome>(JsonNamingPolicy.CamelCase, allowIntegerValues: false);
