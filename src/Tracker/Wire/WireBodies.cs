using P2PWeights.Store.Content;

namespace P2PWeights.Tracker.Wire;

/// <summary>Body of <c>PUT /v1/checkpoints/{name@version}</c>.</summary>
internal sealed record PublishRequest(Digest Manifest);

/// <summary>Body of <c>PUT /v1/tags/{name@tag}</c>.</summary>
internal sealed record TagRequest(string Version);

/// <summary>Body of every answer with a status of 400 or more.</summary>
/// <param name="Error">A short code for programs; the list is in docs/protocol.md.</param>
/// <param name="Message">A sentence for people: what, where, what next.</param>
internal sealed record ErrorBody(string Error, string Message);
