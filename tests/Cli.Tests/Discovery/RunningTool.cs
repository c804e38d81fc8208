using System.Diagnostics;
using System.Text;
using P2PWeights.Cli.Tests.Support;
using P2PWeights.Testing;

namespace P2PWeights.Cli.Tests.Discovery;

/// <summary>A program of others that runs; killed when it is disposed.</summary>
internal sealed class RunningTool : IDisposable
{
    private readonly Process _process;
    private readonly StringBuilder _said = new();
    private readonly Task _readers;
    private bool _disposed;

    public RunningTool(IReadOnlyDictionary<string, string> environment, string[] line)
    {
        var start = new ProcessStartInfo(line[0], line[1..]) { RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (var (name, value) in environment)
        {
            start.Environment[name] = value;
        }

        _process = Process.Start(start)!;
        _readers = Task.WhenAll(ReadAsync(_process.StandardOutput), ReadAsync(_process.StandardError));
    }

    /// <summary>What it printed so far, errors too.</summary>
    public string Said
    {
        get
        {
            lock (_said)
            {
                return _said.ToString();
            }
        }
    }

    public bool HasExited => _process.HasExited;

    /// <summary>Waits for it to say something.</summary>
    public Task SaysAsync(string text) => Eventually.HoldsAsync(() =>
    {
        Assert.True(!_process.HasExited || Said.Contains(text, StringComparison.Ordinal), $"it ended without saying '{text}': {Said}");
        return Said.Contains(text, StringComparison.Ordinal);
    }, $"'{text}' in what it said");

    /// <summary>Waits for its end; what it said.</summary>
    public async Task<string> FinishAsync()
    {
        await _process.WaitForExitAsync().WaitAsync(P2pw.Deadline);
        await _readers.WaitAsync(P2pw.Deadline);
        return Said;
    }

    public void Dispose()
    {
        if (_disposed)
        {
            return;
        }

        _disposed = true;
        if (!_process.HasExited)
        {
            _process.Kill(entireProcessTree: true);
        }

        _process.WaitForExit();
        _process.Dispose();
    }

    private async Task ReadAsync(StreamReader reader)
    {
        while (await reader.ReadLineAsync() is { } line)
        {
            lock (_said)
            {
                _said.AppendLine(line);
            }
        }
    }
}
