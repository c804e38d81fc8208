using Spectre.Console;

namespace P2PWeights.Cli.Output;

/// <summary>
/// Where a command speaks: results on standard output, as text or as JSON, everything else on standard error. Colour and moving lines only on a terminal.
/// </summary>
internal sealed class Terminal(TextWriter output, TextWriter error, bool json)
{
    private readonly Lazy<IAnsiConsole> _errorConsole = new(() =>
        AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(error) }));
    private readonly Lazy<IAnsiConsole> _outputConsole = new(() =>
        AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(output) }));

    /// <summary>Whether results are JSON.</summary>
    public bool Json { get; } = json;

    /// <summary>Whether somebody watches standard error, so that progress may move.</summary>
    public bool Watched => !Console.IsErrorRedirected && !Json;

    /// <summary>Whether somebody watches standard output, so that it may have colour.</summary>
    public bool Coloured => !Console.IsOutputRedirected && !Json;

    /// <summary>Standard error with colour and cursor.</summary>
    public IAnsiConsole ErrorConsole => _errorConsole.Value;

    /// <summary>Standard output with colour and cursor.</summary>
    public IAnsiConsole OutputConsole => _outputConsole.Value;

    /// <summary>Prints the result: the JSON document, or the text that <paramref name="text"/> writes.</summary>
    /// <param name="document">See <see cref="JsonShapes"/>.</param>
    public void Result(object document, Action<TextWriter> text)
    {
        if (Json)
            output.WriteLine(JsonShapes.Write(document));
        else
            text(output);
        output.Flush();
    }

    /// <summary>A line for people, on standard output; with colour when that is a terminal.</summary>
    /// <param name="markup">Spectre markup; data in it must be escaped.</param>
    public void Say(string markup)
    {
        if (Json)
            return;
        if (Coloured)
            _outputConsole.Value.MarkupLine(markup);
        else
            output.WriteLine(Markup.Remove(markup));
        output.Flush();
    }

    /// <summary>A remark that is not the result, on standard error.</summary>
    public void Note(string text) => error.WriteLine($"p2pw: {text.ReplaceLineEndings("\n      ")}");

    /// <summary>Prints a failure on standard error and, with <c>--json</c>, as a document on standard output too.</summary>
    public void Fail(Failure failure)
    {
        Note(failure.Message);
        if (failure.Trace is not null)
            error.WriteLine(failure.Trace);
        if (Json)
            output.WriteLine(JsonShapes.Write(JsonShapes.Of(failure)));
    }
}
