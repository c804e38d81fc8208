using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;
using P2PWeights.Cli.Commands;

namespace P2PWeights.Cli.Output;

/// <summary>The library's help page, then the command's note and examples, or the exit codes on the first page.</summary>
internal sealed class HelpWithExamples(HelpAction page) : SynchronousCommandLineAction
{
    private const string ExitCodes =
        """
        Exit codes:
          0 ok   1 failed   2 usage   3 not found   4 integrity   5 no peers   6 deadline   7 not allowed   8 disk full   130 interrupted
        """;

    public override bool ClearsParseErrors => true;

    public override int Invoke(ParseResult parseResult)
    {
        var exitCode = page.Invoke(parseResult);
        var output = parseResult.InvocationConfiguration.Output;
        if (parseResult.CommandResult.Command is CliCommand command)
        {
            if (command.Note is { } note)
            {
                output.WriteLine(note);
                output.WriteLine();
            }

            output.WriteLine("Examples:");
            foreach (var example in command.Examples)
                output.WriteLine($"  {example}");
        }
        else
        {
            output.WriteLine(ExitCodes);
        }

        output.WriteLine();
        return exitCode;
    }
}
