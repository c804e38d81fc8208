using System.Collections.Immutable;
using System.Text.Json;
using System.Text.Json.Serialization;
using P2PWeights.Store.Content;

namespace P2PWeights.Tracker.Wire;

/// <summary>The same messages as JSON: the same field names, digests as hex, bitmaps as base64.</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    RespectNullableAnnotations = true,
    RespectRequiredConstructorParameters = true,
    AllowDuplicateProperties = false,
    MaxDepth = 16,
    Converters = [typeof(DigestJsonConverter), typeof(PublishOutcomeJson)])]
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
[JsonSerializable(typeof(SwarmStatus))]
[JsonSerializable(typeof(ErrorBody))]
internal sealed partial class TrackerJson : JsonSerializerContext;

/// <summary>Outcomes by the same names as in MessagePack.</summary>
internal sealed class PublishOutcomeJson() : JsonStringEnumConverter<PublishOutcome>(JsonNamingPolicy.CamelCase, allowIntegerValues: false);
