using System.Diagnostics;
using System.Globalization;

namespace P2PWeights.Cli.Demo;

/// <summary>
/// The demo's folder, with everything it makes on disk. Removed at the end; what a demo left that was killed outright, the next one removes.
/// </summary>
internal sealed class Workspace : IDisposable
{
    private const string Prefix = "p2pw-demo-";

    private Workspace(string path) => Path = path;

    public string Path { get; }

    /// <summary>A path inside.</summary>
    public string this[string relative] => System.IO.Path.Combine(Path, relative);

    /// <summary>Makes the folder; its name carries the process id, so that a later demo can tell whether somebody still uses it.</summary>
    public static Workspace Create()
    {
        RemoveAbandoned();
        return new(Directory.CreateTempSubdirectory(Format(Environment.ProcessId)).FullName);
    }

    public void Dispose()
    {
        try
        {
            Directory.Delete(Path, recursive: true);
        }
        catch (DirectoryNotFoundException)
        {
            // Somebody else cleaned up.
        }
    }

    /// <summary>The process that made a folder of this name; null when it is no demo's folder.</summary>
    internal static int? OwnerOf(string folder)
    {
        var name = System.IO.Path.GetFileName(folder);
        var parts = name.StartsWith(Prefix, StringComparison.Ordinal) ? name[Prefix.Length..].Split('-') : [];
        return parts.Length == 2 && int.TryParse(parts[0], NumberStyles.None, CultureInfo.InvariantCulture, out var owner) ? owner : null;
    }

    private static string Format(int owner) => string.Create(CultureInfo.InvariantCulture, $"{Prefix}{owner}-");

    private static void RemoveAbandoned()
    {
        foreach (var folder in Directory.EnumerateDirectories(System.IO.Path.GetTempPath(), $"{Prefix}*"))
        {
            if (OwnerOf(folder) is not { } owner || Lives(owner))
                continue;
            try
            {
                Directory.Delete(folder, recursive: true);
            }
            catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
            {
                // Another user's, or another demo is removing it right now: best effort.
            }
        }
    }

    private static bool Lives(int process)
    {
        try
        {
            using var found = Process.GetProcessById(process);
            return !found.HasExited;
        }
        catch (ArgumentException)
        {
            return false;
        }
    }
}
