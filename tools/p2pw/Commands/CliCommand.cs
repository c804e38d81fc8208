using System.CommandLine;
using P2PWeights.Cli.Output;

namespace P2PWeights.Cli.Commands;

/// <summary>
/// What every command shares: examples on its help page, a token that Ctrl-C and SIGTERM cancel, and one way to turn a failure into a message and an exit code.
/// </summary>
internal abstract class CliCommand : Command
{
    private readonly Option<bool> _json = new("--json")
    {
        Description = "Print the result as one JSON document on standard output, and nothing else there.",
    };

    protected CliCommand(string name, string description, params string[] examples)
        : base(name, description)
    {
        Examples = examples;
        Add(_json);
        SetAction(InvokeAsync);
    }

    /// <summary>Lines that work as they stand, for the help page.</summary>
    public IReadOnlyList<string> Examples { get; }

    /// <summary>What one has to know to read the result, for the help page; null for nothing.</summary>
    public virtual string? Note => null;

    /// <summary>Does the work; the result is the exit code. Failures are thrown, and <see cref="Failure"/> knows their exit codes.</summary>
    protected abstract Task<int> RunAsync(ParseResult arguments, Terminal terminal, CancellationToken cancellationToken);

    private async Task<int> InvokeAsync(ParseResult arguments, CancellationToken cancellationToken)
    {
        var terminal = new Terminal(Console.Out, Console.Error, arguments.GetValue(_json));
        using var interrupts = new Interrupts();
        try
        {
            return await RunAsync(arguments, terminal, interrupts.Token);
        }
        catch (OperationCanceledException) when (interrupts.ExitCode is { } exitCode)
        {
            terminal.Note(interrupts.Reason);
            return exitCode;
        }
        catch (Exception exception)
        {
            // The outermost place: whatever went wrong below becomes one message and an exit code.
            var failure = Failure.Of(exception);
            terminal.Fail(failure);
            return interrupts.ExitCode ?? failure.ExitCode;
        }
    }
}
