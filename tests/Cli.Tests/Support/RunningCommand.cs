using System.Diagnostics;
using System.Text;
using P2PWeights.Native.Posix;

namespace P2PWeights.Cli.Tests.Support;

/// <summary>A command that runs. Disposing it kills it when it still does, so that no test leaves a process.</summary>
public sealed class RunningCommand : IDisposable
{
    private readonly string _line;
    private readonly Process _process;
    private readonly StringBuilder _output = new();
    private readonly StringBuilder _error = new();
    private readonly TaskCompletionSource<string> _ready = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Task _readers;
    private bool _disposed;

    internal RunningCommand(string line, Process process)
    {
        (_line, _process) = (line, process);
        _readers = Task.WhenAll(ReadAsync(process.StandardOutput, _output), ReadAsync(process.StandardError, _error));
    }

    public int Id => _process.Id;

    public bool HasExited => _disposed || _process.HasExited;

    public string ErrorSoFar
    {
        get
        {
            lock (_error)
                return _error.ToString();
        }
    }

    public string OutputSoFar
    {
        get
        {
            lock (_output)
                return _output.ToString();
        }
    }

    /// <summary>The value of a word of the ready line; null before that line.</summary>
    public string? Ready(string key) => _ready.Task.IsCompletedSuccessfully ? Words(_ready.Task.Result).GetValueOrDefault(key) : null;

    /// <summary>The words of the line that starts with <c>ready</c>, <c>key=value</c> each.</summary>
    public async Task<IReadOnlyDictionary<string, string>> ReadyAsync()
    {
        var first = await Task.WhenAny(_ready.Task, _readers).WaitAsync(P2pw.Deadline);
        Assert.True(first == _ready.Task, $"`p2pw {_line}` ended before it was ready:\n{ErrorSoFar}");
        return Words(await _ready.Task);
    }

    public void Signal(PosixSignalNumber signal) => ProcessControl.Signal(_process.Id, signal);

    /// <summary>Closes its standard input, as the death of its parent would.</summary>
    public void CloseInput() => _process.StandardInput.Close();

    /// <summary>Asks it to stop and waits for the end.</summary>
    public Task<Outcome> StopAsync()
    {
        Signal(PosixSignalNumber.Terminate);
        return FinishAsync();
    }

    /// <summary>Ends it as <c>kill -9</c> does.</summary>
    public async Task KillAsync()
    {
        Signal(PosixSignalNumber.Kill);
        await FinishAsync();
    }

    /// <summary>Waits for the end.</summary>
    public async Task<Outcome> FinishAsync()
    {
        try
        {
            await _process.WaitForExitAsync().WaitAsync(P2pw.Deadline);
            await _readers.WaitAsync(P2pw.Deadline);
        }
        catch (TimeoutException)
        {
            Assert.Fail($"`p2pw {_line}` did not end within {P2pw.Deadline}; it said:\n{OutputSoFar}\n{ErrorSoFar}");
        }

        return new Outcome(_process.ExitCode, OutputSoFar, ErrorSoFar);
    }

    public void Dispose()
    {
        if (_disposed)
            return;
        _disposed = true;
        if (!_process.HasExited)
            _process.Kill(entireProcessTree: true);
        _process.WaitForExit();
        _process.Dispose();
    }

    private static Dictionary<string, string> Words(string line) => line.Split(' ').Skip(1).Select(word => word.Split('=', 2)).ToDictionary(pair => pair[0], pair => pair[1], StringComparer.Ordinal);

    private async Task ReadAsync(StreamReader reader, StringBuilder text)
    {
        while (await reader.ReadLineAsync() is { } line)
        {
            lock (text)
                text.AppendLine(line);
            if (line.StartsWith("ready ", StringComparison.Ordinal))
                _ready.TrySetResult(line);
        }
    }
}
