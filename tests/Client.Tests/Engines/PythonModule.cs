using System.Collections.Concurrent;
using System.Diagnostics;

namespace P2PWeights.Client.Tests.Engines;

/// <summary>What the system's Python can import.</summary>
internal static class PythonModule
{
    private static readonly ConcurrentDictionary<string, bool> Looks = new();

    public static bool IsThere(string name) => Looks.GetOrAdd(name, static name =>
    {
        using var look = Process.Start(new ProcessStartInfo("/usr/bin/python3", ["-c", $"import importlib.util, sys; sys.exit(importlib.util.find_spec('{name}') is None)"]))!;
        look.WaitForExit();
        return look.ExitCode == 0;
    });
}
