using P2PWeights.Cli.Synth;
using P2PWeights.Client;

namespace P2PWeights.Cli.Output;

/// <summary>How a command failed: the kind, which is the exit code, and the message.</summary>
/// <param name="Error">Kind.</param>
/// <param name="Message">What, which, what was done, what to do next.</param>
/// <param name="Trace">The exception with its stack, when <c>P2PW_DEBUG=1</c>.</param>
internal sealed record Failure(NodeError Error, string Message, string? Trace)
{
    public int ExitCode => (int)Error;

    /// <summary>Sorts any exception into a kind. What nobody foresaw is <see cref="NodeError.Failed"/> and says how to learn more.</summary>
    public static Failure Of(Exception exception)
    {
        var trace = Environment.GetEnvironmentVariable("P2PW_DEBUG") == "1" ? exception.ToString() : null;
        return exception switch
        {
            SynthException or FileNotFoundException or DirectoryNotFoundException => new(NodeError.Usage, exception.Message, trace),
            UnauthorizedAccessException => new(NodeError.NotAllowed, exception.Message, trace),
            _ when NodeFailure.TryTranslate(exception, out var failure) => new(failure.Error, failure.Message, trace),
            _ => new(NodeError.Failed, $"unexpected {exception.GetType().Name}: {exception.Message}\nThis is a fault of p2pw. P2PW_DEBUG=1 prints where it happened.", trace),
        };
    }
}
