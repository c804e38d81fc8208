using System.Collections.Concurrent;
using System.ComponentModel;
using System.Diagnostics;

namespace P2PWeights.Testing;

/// <summary>What a Python can import.</summary>
public static class PythonModules
{
    private static readonly ConcurrentDictionary<(string Python, string Modules), bool> Looks = new();

    /// <param name="python">A path, or a name that is looked for in PATH.</param>
    public static bool AreThere(string python, params string[] modules) => Looks.GetOrAdd((python, string.Join(' ', modules)), static asked =>
    {
        try
        {
            const string Look = "import importlib.util as u, sys; sys.exit(not all(map(u.find_spec, sys.argv[1:])))";
            using var look = Process.Start(new ProcessStartInfo(asked.Python, ["-c", Look, .. asked.Modules.Split(' ')]))!;
            look.WaitForExit();
            return look.ExitCode == 0;
        }
        catch (Win32Exception)
        {
            return false; // no such Python at all
        }
    });
}
