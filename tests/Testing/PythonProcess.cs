using System.Diagnostics;
using System.Text.Json;

namespace P2PWeights.Testing;

/// <summary>
/// A script run by the system's Python, with the package <c>p2pweights</c> on its path where the test project brings it along. It prints one JSON value per line, and ends when its
/// input is closed; whatever happens, it does not outlive the test.
/// </summary>
public sealed class PythonProcess : IAsyncDisposable
{
    private static readonly TimeSpan Deadline = TimeSpan.FromMinutes(1);

    private readonly Process _process;
    private readonly Task<string> _errors;

    /// <param name="script">A full path, or a name in the test project's folder <c>Engines/Python</c>.</param>
    public PythonProcess(string script, params string[] arguments)
    {
        var start = new ProcessStartInfo("/usr/bin/python3") { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true };
        start.ArgumentList.Add(Path.Combine(AppContext.BaseDirectory, "Engines", "Python", script));
        foreach (var argument in arguments)
        {
            start.ArgumentList.Add(argument);
        }

        var inherited = Environment.GetEnvironmentVariable("PYTHONPATH");
        start.Environment["PYTHONPATH"] = Path.Combine(AppContext.BaseDirectory, "python") + (string.IsNullOrEmpty(inherited) ? "" : $":{inherited}");
        start.Environment["PYTHONDONTWRITEBYTECODE"] = "1";
        _process = Process.Start(start)!;
        _errors = _process.StandardError.ReadToEndAsync();
    }

    /// <summary>Kills it, as <c>kill -9</c> would.</summary>
    public void Kill() => _process.Kill();

    public async Task WriteLineAsync(string line)
    {
        await _process.StandardInput.WriteLineAsync(line);
        await _process.StandardInput.FlushAsync();
    }

    /// <summary>The next value that it prints.</summary>
    public async Task<JsonElement> ReadAsync()
    {
        using var deadline = new CancellationTokenSource(Deadline);
        var line = await _process.StandardOutput.ReadLineAsync(deadline.Token);
        if (line is null)
        {
            throw new InvalidOperationException($"the script ended: {await _errors}");
        }

        using var json = JsonDocument.Parse(line);
        return json.RootElement.Clone();
    }

    /// <summary>Reads until an object has this value for <c>event</c>.</summary>
    public async Task<JsonElement> ReadEventAsync(string name)
    {
        while (true)
        {
            var seen = await ReadAsync();
            if (seen.GetProperty("event").GetString() == name)
            {
                return seen;
            }
        }
    }

    /// <summary>Closes its input and returns what it still prints; it must end well.</summary>
    public async Task<IReadOnlyList<JsonElement>> EndAsync()
    {
        using var deadline = new CancellationTokenSource(Deadline);
        _process.StandardInput.Close();
        var output = await _process.StandardOutput.ReadToEndAsync(deadline.Token);
        await _process.WaitForExitAsync(deadline.Token);
        if (_process.ExitCode != 0)
        {
            throw new InvalidOperationException($"exit code {_process.ExitCode}: {await _errors}");
        }

        return [.. output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line =>
        {
            using var json = JsonDocument.Parse(line);
            return json.RootElement.Clone();
        })];
    }

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
        {
            _process.Kill();
        }

        await _process.WaitForExitAsync();
        await _errors;
        _process.Dispose();
    }
}
