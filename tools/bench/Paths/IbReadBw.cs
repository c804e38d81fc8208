using System.Diagnostics;
using System.Globalization;
using P2PWeights.Bench.Measuring;

namespace P2PWeights.Bench.Paths;

/// <summary>The anchor: <c>ib_read_bw</c> of perftest, reads of 1 MiB over two queue pairs.</summary>
internal static class IbReadBw
{
    public static readonly Tool Command = new("ib_read_bw", package: "perftest");

    private const int ReadBytes = 1 << 20;
    private const int QueuePairs = 2;

    private static readonly string[] ListenerTables = ["/proc/net/tcp", "/proc/net/tcp6"];
    private static readonly Tool Shell = new("bash", package: "bash");
    private static readonly TimeSpan ListenDeadline = TimeSpan.FromMinutes(1);

    /// <summary>Reads so many bytes from a server on one device to a client on another.</summary>
    /// <returns>The average that the client prints, in GB/s, and what both processes used, their start included.</returns>
    public static async Task<Sample> ReadAsync(string sourceDevice, string device, long bytes, CancellationToken cancellationToken)
    {
        var port = LoopbackPort.Free();
        var iterations = Math.Max(16, bytes / ReadBytes / QueuePairs);
        string[] common = ["-s", Text(ReadBytes), "-q", Text(QueuePairs), "-n", Text(iterations), "-p", Text(port), "-F", "--report_gbits"];

        // The shell tells what the server has used, on the last line of its errors; when it has ended nobody else could.
        using var server = Shell.Start(["-c", "\"$@\"; status=$?; times >&2; exit $status", "bash", "ib_read_bw", "-d", sourceDevice, .. common]);
        try
        {
            var serverOutput = server.StandardOutput.ReadToEndAsync(cancellationToken);
            var serverErrors = server.StandardError.ReadToEndAsync(cancellationToken);
            await WaitUntilListeningAsync(port, server, cancellationToken);
            var cpu = CpuClock.SecondsOfEndedChildren();
            var (output, _, _) = await Command.RunAsync(["-d", device, .. common, "127.0.0.1"], cancellationToken);
            await server.WaitForExitAsync(cancellationToken);
            if (server.ExitCode != 0)
            {
                throw new BenchException($"ib_read_bw failed as a server with exit code {server.ExitCode}: {(await serverErrors).Trim()} {(await serverOutput).Trim()}");
            }

            var both = CpuClock.SecondsOfEndedChildren() - cpu;
            var sending = ServerSeconds(await serverErrors);
            var transferred = iterations * QueuePairs * ReadBytes;
            return Sample.Of(transferred, transferred / 1e9 / Rate(output), sending, both - sending);
        }
        finally
        {
            Tool.Kill(server);
        }
    }

    /// <summary>A connection would count as the client's, so the kernel's table of listeners is asked.</summary>
    private static async Task WaitUntilListeningAsync(int port, Process server, CancellationToken cancellationToken)
    {
        var end = Environment.TickCount64 + (long)ListenDeadline.TotalMilliseconds;
        var wanted = $":{port:X4} ";
        while (!server.HasExited && Environment.TickCount64 < end)
        {
            // Columns of proc(5): local address, remote address, state; 0A is TCP_LISTEN.
            var listeners = ListenerTables.Where(File.Exists).SelectMany(File.ReadLines).Where(line => line.Contains(" 0A ", StringComparison.Ordinal));
            if (listeners.Any(line => line.Contains(wanted, StringComparison.Ordinal)))
            {
                return;
            }

            await Task.Delay(50, cancellationToken);
        }

        throw new BenchException("ib_read_bw does not listen");
    }

    /// <summary>The line of the table that begins with the size: bytes, iterations, peak, average, messages.</summary>
    private static double Rate(string output)
    {
        var row = output.Split('\n')
            .Select(line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
            .LastOrDefault(words => words.Length >= 5 && words[0] == Text(ReadBytes));
        return row is not null && double.TryParse(row[3], CultureInfo.InvariantCulture, out var gigabits) && gigabits > 0
            ? gigabits / 8
            : throw new BenchException($"ib_read_bw printed no average: {output.Trim()}");
    }

    /// <summary>The second line of <c>times</c>: user and system time of what the shell ran, as <c>1m2.345s</c>.</summary>
    private static double ServerSeconds(string errors) =>
        errors.Trim().Split('\n')[^1].Split(' ', StringSplitOptions.RemoveEmptyEntries)
            .Select(word => word.TrimEnd('s').Split('m'))
            .Sum(parts => 60 * double.Parse(parts[0], CultureInfo.InvariantCulture) + double.Parse(parts[1], CultureInfo.InvariantCulture));

    private static string Text(long value) => value.ToString(CultureInfo.InvariantCulture);
}
