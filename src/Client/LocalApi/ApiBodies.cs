using System.Text.Json.Serialization;

namespace P2PWeights.Client.LocalApi;

/// <summary>Body of <c>POST /v1/verify</c>.</summary>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
internal sealed record VerifyBody(string Folder, string Checkpoint);

/// <summary>Body of <c>POST /v1/tags</c>.</summary>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
internal sealed record TagBody(string Checkpoint, string Tag);

/// <summary>Progress of a verification.</summary>
internal sealed record VerifyProgress(long BytesHashed);

/// <summary>Every failure, as the body of an answer or the data of an <c>error</c> event.</summary>
internal sealed record ErrorBody(NodeError Error, string Message);
