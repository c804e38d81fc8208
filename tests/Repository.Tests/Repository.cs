namespace P2PWeights.Repository.Tests;

/// <summary>The files of this repository, found from the folder that the tests were built into. Build outputs and hidden folders are left out.</summary>
internal static class Repository
{
    private static readonly string[] NotOurs = ["bin", "obj", "artifacts", "TestResults", "node_modules"];

    public static string Root { get; } = FindRoot();

    /// <summary>Full paths of the files below a folder of the repository (all of it for an empty name) that match a pattern.</summary>
    public static IReadOnlyList<string> Files(string folder, string pattern) => [.. Enumerate(Path.Combine(Root, folder), pattern).Order(StringComparer.Ordinal)];

    /// <summary>A path as messages show it.</summary>
    public static string Relative(string path) => Path.GetRelativePath(Root, path);

    private static IEnumerable<string> Enumerate(string folder, string pattern) =>
        Directory.EnumerateFiles(folder, pattern).Concat(Directory.EnumerateDirectories(folder)
            .Where(child => !NotOurs.Contains(Path.GetFileName(child)) && Path.GetFileName(child) is var name && (name[0] != '.' || name == ".ci"))
            .SelectMany(child => Enumerate(child, pattern)));

    private static string FindRoot()
    {
        for (var folder = AppContext.BaseDirectory; folder is not null; folder = Path.GetDirectoryName(folder))
        {
            if (File.Exists(Path.Combine(folder, "P2PWeights.sln")))
            {
                return folder;
            }
        }

        throw new DirectoryNotFoundException($"no P2PWeights.sln above {AppContext.BaseDirectory}");
    }
}
