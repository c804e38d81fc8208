namespace P2PWeights.Client.Engines;

/// <summary>What an engine is, which decides how it is asked to begin an update. The channels are the same for all.</summary>
internal enum EngineKind
{
    /// <summary>vLLM with checkpoint-engine's worker extension.</summary>
    Vllm,

    /// <summary>SGLang, which has checkpoint-engine's protocol built in.</summary>
    Sglang,

    /// <summary>A process that receives with our own Python package, <c>p2pweights</c>.</summary>
    Python,
}
