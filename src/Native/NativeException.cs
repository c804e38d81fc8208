namespace P2PWeights.Native;

/// <summary>A native call failed: library, function, what it was called for, code and the library's own text for the code.</summary>
/// <param name="subject">What the call was about, a path for instance; for the message only.</param>
public sealed class NativeException(string library, string function, int code, string text, string? subject = null)
    : IOException($"{library} {function}{(subject is null ? "" : $" '{subject}'")}: {text} ({code})")
{
    public string Library { get; } = library;

    public string Function { get; } = function;

    /// <summary>The library's error code; for libc, errno.</summary>
    public int Code { get; } = code;
}
