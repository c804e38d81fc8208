using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;
using P2PWeights.Cli.Commands;
using P2PWeights.Cli.Output;
using P2PWeights.Client;

namespace P2PWeights.Cli;

/// <summary>The root command: which commands there are, how help looks, and how a line that cannot be understood ends (exit code 2).</summary>
internal static class CommandLine
{
    private const string Description =
        """
        P2PWeights: a cluster-wide, content-addressed cache of model checkpoints.

        A training cluster publishes a checkpoint; inference nodes pull it from whichever peers hold pieces of it.
        Run one `p2pw tracker`, one `p2pw node` per machine, then `p2pw publish` and `p2pw pull`. See it all at once: `p2pw demo`.
        """;

    /// <summary>Every command, in the order of the help page: what serves, what moves checkpoints, what looks, what tries things out.</summary>
    public static RootCommand Build()
    {
        var root = new RootCommand(Description)
        {
            new TrackerCommand(),
            new NodeCommand(),
            new PublishCommand(),
            new PullCommand(),
            new UpdateCommand(),
            new ListCommand(),
            new ShowCommand(),
            new TagCommand(),
            new RemoveCommand(),
            new PeersCommand(),
            new WhyCommand(),
            new StatusCommand(),
            new VerifyCommand(),
            new ScrubCommand(),
            new DoctorCommand(),
            new SynthCommand(),
            new EngineCommand(),
            new DemoCommand(),
            new SimCommand(),
        };
        foreach (var help in root.Options.OfType<HelpOption>())
            help.Action = new HelpWithExamples((HelpAction)help.Action!);
        root.SetAction(parsed => parsed.GetResult(root)!.Command.Parse(["--help"]).Invoke());
        return root;
    }

    /// <summary>Parses and runs a command line; the result is the process's exit code.</summary>
    public static async Task<int> RunAsync(string[] args)
    {
        // Neither `@file` nor `-abc` means anything here; a checkpoint's name may hold an @.
        var parsed = Build().Parse(args, new ParserConfiguration { ResponseFileTokenReplacer = null, EnablePosixBundling = false });
        if (parsed.Action is ParseErrorAction)
        {
            foreach (var error in parsed.Errors)
                await Console.Error.WriteLineAsync($"p2pw: {error.Message}");
            var command = parsed.CommandResult.Command;
            var help = command is RootCommand ? "p2pw --help" : $"p2pw {command.Name} --help";
            await Console.Error.WriteLineAsync($"      Nothing was done. `{help}` shows what is possible.");
            return (int)NodeError.Usage;
        }

        // Signals are handled in CliCommand, exceptions in Failure: the library's own ways of doing both know nothing of exit codes.
        return await parsed.InvokeAsync(new InvocationConfiguration { EnableDefaultExceptionHandler = false, ProcessTerminationTimeout = null });
    }
}
