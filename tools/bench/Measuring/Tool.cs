using System.ComponentModel;
using System.Diagnostics;

namespace P2PWeights.Bench.Measuring;

/// <summary>An anchor that is a program of its own.</summary>
/// <param name="name">The command.</param>
/// <param name="package">The Debian package that has it.</param>
internal sealed class Tool(string name, string package)
{
    /// <summary>Where servers lie, which the search path of ordinary users leaves out.</summary>
    private static readonly string[] MoreFolders = ["/usr/sbin", "/sbin"];

    /// <summary>Says at once, and in one command, what must be installed for a benchmark.</summary>
    /// <exception cref="BenchException">Some are not.</exception>
    public static void Require(IEnumerable<Tool> tools)
    {
        var missing = tools.Where(tool => tool.Find() is null).ToList();
        if (missing.Count > 0)
        {
            throw new BenchException(
                $"not installed: {string.Join(", ", missing.Select(tool => tool.Name))}. This benchmark measures against them; install them: apt-get install {string.Join(' ', missing.Select(tool => tool.Package).Distinct())}");
        }
    }

    private string Name => name;

    private string Package => package;

    /// <summary>Runs it to its end.</summary>
    /// <returns>Its standard output, the seconds from start to end, and the CPU seconds in them.</returns>
    /// <exception cref="BenchException">It is not installed or failed.</exception>
    public async Task<(string Output, double Seconds, double CpuSeconds)> RunAsync(IEnumerable<string> arguments, CancellationToken cancellationToken)
    {
        var cpu = CpuClock.SecondsOfEndedChildren();
        var started = Stopwatch.GetTimestamp();
        using var process = Start(arguments);
        try
        {
            var errors = process.StandardError.ReadToEndAsync(cancellationToken);
            var output = await process.StandardOutput.ReadToEndAsync(cancellationToken);
            await process.WaitForExitAsync(cancellationToken);
            var seconds = Stopwatch.GetElapsedTime(started).TotalSeconds;
            return process.ExitCode == 0
                ? (output, seconds, CpuClock.SecondsOfEndedChildren() - cpu)
                : throw new BenchException($"{name} failed with exit code {process.ExitCode}: {(await errors).Trim()} {output.Trim()}");
        }
        finally
        {
            Kill(process);
        }
    }

    /// <summary>Starts it with both outputs redirected. The caller ends it.</summary>
    /// <exception cref="BenchException">It is not installed.</exception>
    public Process Start(IEnumerable<string> arguments)
    {
        var start = new ProcessStartInfo(Find() ?? name, arguments) { RedirectStandardOutput = true, RedirectStandardError = true };
        try
        {
            return Process.Start(start)!;
        }
        catch (Win32Exception error)
        {
            throw new BenchException($"{name} cannot be started ({error.Message}). This benchmark measures against it; install it: apt-get install {package}", error);
        }
    }

    /// <summary>Ends a process that is still running and waits for its end.</summary>
    public static void Kill(Process process)
    {
        if (!process.HasExited)
        {
            process.Kill(entireProcessTree: true);
            process.WaitForExit();
        }
    }

    private string? Find() => (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':').Concat(MoreFolders)
        .Where(folder => folder.Length > 0)
        .Select(folder => Path.Combine(folder, name))
        .FirstOrDefault(File.Exists);
}
