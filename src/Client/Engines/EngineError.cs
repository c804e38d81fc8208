namespace P2PWeights.Client.Engines;

/// <summary>Kinds of failure of an engine.</summary>
internal enum EngineError
{
    /// <summary>Code of the engine raised; the exception has its traceback.</summary>
    Raised,

    /// <summary>The engine refused the request to begin, or reported a failure at its end.</summary>
    Refused,

    /// <summary>The engine cannot be reached, or its process went away.</summary>
    Died,

    /// <summary>The engine did not answer in time.</summary>
    Deadline,

    /// <summary>What the engine sent is not the protocol.</summary>
    Protocol,

    /// <summary>The engine, or the channel to it, cannot do what was asked: a dtype, a kind of memory, reading back.</summary>
    NotSupported,
}
