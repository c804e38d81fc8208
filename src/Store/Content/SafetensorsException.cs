namespace P2PWeights.Store.Content;

/// <summary>A safetensors header is malformed. The message gives the reason; the caller adds the file.</summary>
public sealed class SafetensorsException(string message, Exception? inner = null) : Exception(message, inner);
