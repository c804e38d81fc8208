using System.Diagnostics;
using System.Text.Json;

namespace P2PWeights.Cli.Tests.Support;

/// <summary>What a run of the executable came to.</summary>
public sealed record Outcome(int ExitCode, string Output, string Error)
{
    /// <summary>Standard output as the one JSON document that <c>--json</c> promises.</summary>
    public JsonElement Json => JsonDocument.Parse(Output).RootElement;

    /// <summary>Fails with everything that was printed when the exit code is another.</summary>
    public Outcome Expect(int exitCode)
    {
        Assert.True(ExitCode == exitCode, $"exit code {ExitCode}, expected {exitCode}\n--- output\n{Output}\n--- error\n{Error}");
        return this;
    }
}

/// <summary>The built executable, run as users run it.</summary>
public static class P2pw
{
    /// <summary>Longest that any command of these tests may take; a command that hangs fails its test.</summary>
    public static readonly TimeSpan Deadline = TimeSpan.FromSeconds(90);

    public static string Executable { get; } = Path.Combine(AppContext.BaseDirectory, "p2pw");

    /// <summary>Runs a command to its end.</summary>
    public static Task<Outcome> RunAsync(params string[] arguments) => RunAsync(new Dictionary<string, string?>(), arguments);

    /// <summary>Runs a command with environment variables of its own.</summary>
    public static async Task<Outcome> RunAsync(IReadOnlyDictionary<string, string?> environment, params string[] arguments)
    {
        using var process = Start(environment, arguments);
        return await process.FinishAsync();
    }

    /// <summary>Starts a command and leaves it running.</summary>
    public static RunningCommand Start(IReadOnlyDictionary<string, string?> environment, params string[] arguments) => Start([], environment, arguments);

    /// <summary>Starts a command by way of another that becomes it, <c>ip netns exec NAME</c> say.</summary>
    internal static RunningCommand Start(IReadOnlyList<string> launcher, IReadOnlyDictionary<string, string?> environment, params string[] arguments)
    {
        string[] line = [.. launcher, Executable, .. arguments];
        var start = new ProcessStartInfo(line[0], line[1..]) { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true };
        // Nothing that happens to be set around the tests may reach the command.
        foreach (var variable in start.Environment.Keys.Where(key => key.StartsWith("P2PW_", StringComparison.Ordinal) || key == "XDG_RUNTIME_DIR").ToList())
            start.Environment.Remove(variable);
        foreach (var (name, value) in environment)
            start.Environment[name] = value;
        return new RunningCommand(string.Join(' ', arguments), Process.Start(start)!);
    }
}
