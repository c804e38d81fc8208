using System.Diagnostics;
using P2PWeights.Cli.Commands;
using P2PWeights.Client;

namespace P2PWeights.Cli.Demo;

/// <summary>
/// A serving command (tracker or node) as a process of its own, running this same executable. It stops when asked, and by itself when we die: we hold its
/// standard input, see <see cref="ServingProcess"/>. What it logs is kept, the last lines only, to explain a failure.
/// </summary>
internal sealed class ChildProcess : IAsyncDisposable
{
    private const int LinesKept = 20;

    private static readonly TimeSpan ReadyDeadline = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan StopDeadline = TimeSpan.FromSeconds(15);

    private readonly string _name;
    private readonly Process _process;
    private readonly Queue<string> _log = new();
    private readonly Task _logReader;
    private readonly Dictionary<string, string> _ready = new(StringComparer.Ordinal);

    private ChildProcess(string name, Process process)
    {
        (_name, _process) = (name, process);
        _logReader = ReadLogAsync();
    }

    /// <summary>Process id.</summary>
    public int Id => _process.Id;

    /// <summary>A value of the ready line: <c>tracker</c>, <c>peers</c>, <c>socket</c>.</summary>
    public string this[string key] => _ready[key];

    /// <summary>Starts <c>p2pw</c> with these arguments and waits for its ready line.</summary>
    /// <exception cref="NodeException">It ended or stayed silent; the message holds the last lines of its log.</exception>
    public static async Task<ChildProcess> StartAsync(string name, IReadOnlyList<string> arguments, CancellationToken cancellationToken)
    {
        var start = new ProcessStartInfo { FileName = Environment.ProcessPath!, RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true };
        // Through `dotnet p2pw.dll` the process is dotnet, and it needs to be told the assembly.
        if (Path.GetFileNameWithoutExtension(Environment.ProcessPath) == "dotnet")
            start.ArgumentList.Add(Path.Combine(AppContext.BaseDirectory, "p2pw.dll"));
        foreach (var argument in arguments.Append(ServingProcess.DieWithParentFlag))
            start.ArgumentList.Add(argument);
        // What the user set for their own nodes is not meant for these.
        foreach (var variable in start.Environment.Keys.Where(key => key.StartsWith("P2PW_", StringComparison.Ordinal) && key != "P2PW_DEBUG").ToList())
            start.Environment.Remove(variable);

        var child = new ChildProcess(name, Process.Start(start)!);
        try
        {
            await child.WaitUntilReadyAsync(cancellationToken);
            return child;
        }
        catch
        {
            await child.DisposeAsync();
            throw;
        }
    }

    /// <summary>Asks it to stop, waits, and kills it when it does not.</summary>
    public async ValueTask DisposeAsync()
    {
        using var deadline = new CancellationTokenSource(StopDeadline);
        try
        {
            // The end of its input is the request to stop.
            _process.StandardInput.Close();
            await _process.WaitForExitAsync(deadline.Token);
        }
        catch (OperationCanceledException)
        {
            _process.Kill();
            await _process.WaitForExitAsync(CancellationToken.None);
        }

        await _logReader;
        _process.Dispose();
    }

    private async Task WaitUntilReadyAsync(CancellationToken cancellationToken)
    {
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        deadline.CancelAfter(ReadyDeadline);
        try
        {
            while (await _process.StandardOutput.ReadLineAsync(deadline.Token) is { } line)
            {
                if (!line.StartsWith("ready ", StringComparison.Ordinal))
                    continue;
                foreach (var pair in line.Split(' ').Skip(1).Select(word => word.Split('=', 2)).Where(pair => pair.Length == 2))
                    _ready[pair[0]] = pair[1];
                return;
            }
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            throw Failed($"was not ready within {ReadyDeadline.TotalSeconds:0} s");
        }

        await _process.WaitForExitAsync(deadline.Token);
        await _logReader;
        throw Failed($"ended with exit code {_process.ExitCode} before it was ready");
    }

    private async Task ReadLogAsync()
    {
        while (await _process.StandardError.ReadLineAsync(CancellationToken.None) is { } line)
        {
            lock (_log)
            {
                _log.Enqueue(line);
                if (_log.Count > LinesKept)
                    _log.Dequeue();
            }
        }
    }

    private NodeException Failed(string how)
    {
        lock (_log)
            return new NodeException(NodeError.Failed, $"{_name} {how}. It said:\n{string.Join('\n', _log)}");
    }
}
