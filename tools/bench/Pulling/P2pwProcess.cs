using System.Diagnostics;
using P2PWeights.Bench.Measuring;

namespace P2PWeights.Bench.Pulling;

/// <summary>A tracker or a node, as the process that users run. It stops when its standard input closes, so also when this process dies.</summary>
internal sealed class P2pwProcess : IAsyncDisposable
{
    private const string ReadyWord = "ready ";

    private static readonly TimeSpan ReadyDeadline = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan StopDeadline = TimeSpan.FromSeconds(30);

    private readonly Process _process;
    private readonly Task<string> _log;

    private P2pwProcess(Process process)
    {
        _process = process;
        _log = process.StandardError.ReadToEndAsync();
    }

    /// <summary>Starts <c>p2pw</c> and waits until it says that it is ready.</summary>
    /// <returns>The process and the <c>key=value</c> words of its ready line.</returns>
    /// <exception cref="BenchException">It ended instead.</exception>
    public static Task<(P2pwProcess Process, Dictionary<string, string> Ready)> StartAsync(IEnumerable<string> arguments, CancellationToken cancellationToken) =>
        StartAsync(arguments, new Dictionary<string, string>(), cancellationToken);

    /// <summary>The same with more environment variables.</summary>
    public static async Task<(P2pwProcess Process, Dictionary<string, string> Ready)> StartAsync(
        IEnumerable<string> arguments, IReadOnlyDictionary<string, string> environment, CancellationToken cancellationToken)
    {
        var start = new ProcessStartInfo("dotnet") { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (var (name, value) in environment)
        {
            start.Environment[name] = value;
        }

        start.ArgumentList.Add(Path.Combine(AppContext.BaseDirectory, "p2pw.dll"));
        foreach (var argument in arguments.Append("--log-level").Append("warning").Append("--die-with-parent"))
        {
            start.ArgumentList.Add(argument);
        }

        var process = new P2pwProcess(Process.Start(start)!);
        try
        {
            return (process, await process.ReadyAsync(cancellationToken));
        }
        catch
        {
            await process.DisposeAsync();
            throw;
        }
    }

    /// <summary>The process's id, as long as it lives.</summary>
    public int Id => _process.Id;

    /// <summary>Ends it as a crash would: it says goodbye to nobody. To be disposed all the same.</summary>
    public void Kill() => Tool.Kill(_process);

    public async ValueTask DisposeAsync()
    {
        using var deadline = new CancellationTokenSource(StopDeadline);
        try
        {
            _process.StandardInput.Close();
            await _process.WaitForExitAsync(deadline.Token);
        }
        catch (OperationCanceledException)
        {
            Tool.Kill(_process);
        }

        await _log;
        _process.Dispose();
    }

    private async Task<Dictionary<string, string>> ReadyAsync(CancellationToken cancellationToken)
    {
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        deadline.CancelAfter(ReadyDeadline);
        while (await _process.StandardOutput.ReadLineAsync(deadline.Token) is { } line)
        {
            if (line.StartsWith(ReadyWord, StringComparison.Ordinal))
            {
                return line.Split(' ').Skip(1).Select(word => word.Split('=', 2)).Where(pair => pair.Length == 2).ToDictionary(pair => pair[0], pair => pair[1]);
            }
        }

        throw new BenchException($"p2pw ended before it was ready: {(await _log).Trim()}");
    }
}
