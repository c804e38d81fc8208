using System.ComponentModel;
using System.Diagnostics;

namespace P2PWeights.Bench.Measuring;

/// <summary>An anchor that is a program of its own.</summary>
/// <param name="name">The command.</param>
/// <param name="package">The Debian package that has it.</param>
internal sealed class Tool(string name, string package)
{
    /// <summary>Runs it to its end.</summary>
    /// <returns>Its standard output and the seconds from start to end.</returns>
    /// <exception cref="BenchException">It is not installed or failed.</exception>
    public async Task<(string Output, double Seconds)> RunAsync(IEnumerable<string> arguments, CancellationToken cancellationToken)
    {
        var started = Stopwatch.GetTimestamp();
        using var process = Start(arguments);
        try
        {
            var errors = process.StandardError.ReadToEndAsync(cancellationToken);
            var output = await process.StandardOutput.ReadToEndAsync(cancellationToken);
            await process.WaitForExitAsync(cancellationToken);
            var seconds = Stopwatch.GetElapsedTime(started).TotalSeconds;
            return process.ExitCode == 0
                ? (output, seconds)
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
        var start = new ProcessStartInfo(name, arguments) { RedirectStandardOutput = true, RedirectStandardError = true };
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
}
