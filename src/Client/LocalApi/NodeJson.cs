using System.Text.Json;
using System.Text.Json.Serialization;
using P2PWeights.Store.Content;
using P2PWeights.Store.Folders;
using P2PWeights.Tracker;
using P2PWeights.Transfer;

namespace P2PWeights.Client.LocalApi;

/// <summary>The JSON of the local API: camel-case names, enumerations by name, missing members refused.</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    RespectNullableAnnotations = true,
    RespectRequiredConstructorParameters = true,
    AllowDuplicateProperties = false,
    MaxDepth = 16,
    Converters = [typeof(DigestJsonConverter), typeof(NodeErrorJson), typeof(DifferenceKindJson), typeof(PullStateJson)])]
[JsonSerializable(typeof(PublishRequest))]
[JsonSerializable(typeof(PublishProgress))]
[JsonSerializable(typeof(PublishReport))]
[JsonSerializable(typeof(CheckpointPullRequest))]
[JsonSerializable(typeof(PullProgress))]
[JsonSerializable(typeof(CheckpointPullReport))]
[JsonSerializable(typeof(UpdateRequest))]
[JsonSerializable(typeof(UpdateProgress))]
[JsonSerializable(typeof(UpdateReport))]
[JsonSerializable(typeof(VerifyBody))]
[JsonSerializable(typeof(VerifyProgress))]
[JsonSerializable(typeof(VerifyReport))]
[JsonSerializable(typeof(NodeScrubReport))]
[JsonSerializable(typeof(NodeStatus))]
[JsonSerializable(typeof(IReadOnlyList<PeerStatus>))]
[JsonSerializable(typeof(PullExplanation))]
[JsonSerializable(typeof(IReadOnlyList<CheckpointInfo>))]
[JsonSerializable(typeof(CheckpointDetails))]
[JsonSerializable(typeof(SwarmStatus))]
[JsonSerializable(typeof(TagBody))]
[JsonSerializable(typeof(ErrorBody))]
internal sealed partial class NodeJson : JsonSerializerContext;

/// <summary>Kinds of failure by name: <c>notFound</c>.</summary>
internal sealed class NodeErrorJson() : JsonStringEnumConverter<NodeError>(JsonNamingPolicy.CamelCase, allowIntegerValues: false);

/// <summary>States of a pull by name: <c>running</c>.</summary>
internal sealed class PullStateJson() : JsonStringEnumConverter<PullState>(JsonNamingPolicy.CamelCase, allowIntegerValues: false);

/// <summary>Kinds of difference by name: <c>missing</c>.</summary>
internal sealed class DifferenceKindJson() : JsonStringEnumConverter<DifferenceKind>(JsonNamingPolicy.CamelCase, allowIntegerValues: false);
