using System.Diagnostics;

namespace P2PWeights.Store.Tests.Serialization;

/// <summary>Python's msgpack (Debian package python3-msgpack), an implementation that shares nothing with ours, run once per test.</summary>
internal static class PythonMessagePack
{
    private static readonly TimeSpan Deadline = TimeSpan.FromMinutes(2);

    /// <summary>
    /// Defines <c>describe</c>: a value as text that says type and content exactly, the same text that <see cref="MessagePackValue.Describe"/> gives.
    /// </summary>
    private const string Prelude = """
        import sys, struct, random
        try:
            import msgpack
        except ImportError:
            sys.exit("the Debian package python3-msgpack is missing: apt-get install python3-msgpack")

        def describe(v):
            if v is None: return "nil"
            if v is True: return "true"
            if v is False: return "false"
            if isinstance(v, int): return "i" + str(v)
            if isinstance(v, float): return "f" + struct.pack(">d", v).hex()
            if isinstance(v, str): return "s" + v.encode("utf-8").hex()
            if isinstance(v, bytes): return "b" + v.hex()
            if isinstance(v, list): return "[" + ",".join(describe(e) for e in v) + "]"
            if isinstance(v, dict): return "{" + ",".join(describe(k) + ":" + describe(e) for k, e in v.items()) + "}"
            raise TypeError(type(v))

        """;

    /// <summary>Runs a script behind the prelude; returns its output lines.</summary>
    public static async Task<IReadOnlyList<string>> RunAsync(string script, IEnumerable<string> inputLines, params string[] arguments)
    {
        var start = new ProcessStartInfo("/usr/bin/python3")
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.ArgumentList.Add("-c");
        start.ArgumentList.Add(Prelude + script);
        foreach (var argument in arguments)
        {
            start.ArgumentList.Add(argument);
        }

        using var process = Process.Start(start)!;
        using var deadline = new CancellationTokenSource(Deadline);
        try
        {
            var output = process.StandardOutput.ReadToEndAsync(deadline.Token);
            var errors = process.StandardError.ReadToEndAsync(deadline.Token);
            try
            {
                await process.StandardInput.WriteAsync(string.Join('\n', inputLines).AsMemory(), deadline.Token);
                process.StandardInput.Close();
            }
            catch (IOException)
            {
                // It ended without reading: its error output says why.
            }

            await process.WaitForExitAsync(deadline.Token);
            Assert.True(process.ExitCode == 0, await errors);
            return (await output).Split('\n', StringSplitOptions.RemoveEmptyEntries);
        }
        finally
        {
            if (!process.HasExited)
            {
                process.Kill();
            }
        }
    }
}
