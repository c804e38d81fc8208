namespace P2PWeights.Store.Content;

/// <summary>A manifest, or what should become one, is not acceptable. The message says what, where, and the rule.</summary>
public sealed class ManifestException(string message, Exception? inner = null) : Exception(message, inner);
