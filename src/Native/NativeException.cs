namespace P2PWeights.Native;

/// <summary>A native call failed: library, function, code and the library's own text for the code.</summary>
public sealed class NativeException(string library, string function, int code, string text)
    : IOException($"{library} {function}: {text} ({code})")
{
    public string Library { get; } = library;

    public string Function { get; } = function;

    /// <summary>The library's error code; for libc, errno.</summary>
    public int Code { get; } = code;
}
