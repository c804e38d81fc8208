namespace P2PWeights.Client.Engines;

/// <summary>An engine failed during an update. The message says which engine and rank, what it was doing, and what to do next.</summary>
internal sealed class EngineException(EngineError error, string message, Exception? inner = null) : Exception(message, inner)
{
    public EngineError Error { get; } = error;

    /// <summary>What the engine's own code said, several lines as a rule, made safe for a terminal; null when it said nothing.</summary>
    public string? Traceback { get; init; }
}
