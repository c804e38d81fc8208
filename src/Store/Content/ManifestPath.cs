namespace P2PWeights.Store.Content;

/// <summary>The rules for file paths in a manifest, the same for the publisher and for whoever reads a manifest from outside.</summary>
public static class ManifestPath
{
    /// <summary>Longest path, in UTF-8 bytes (PATH_MAX on Linux is 4096 with the target folder in front).</summary>
    public const int MaxPathBytes = 1024;

    /// <summary>Longest single name, in UTF-8 bytes (NAME_MAX is 255; room is kept for the suffix of unfinished files).</summary>
    public const int MaxNameBytes = 200;

    /// <summary>
    /// Null when the path may stand in a manifest, else the reason it may not: empty, absolute, <c>.</c> or <c>..</c> or empty parts, NUL or other
    /// control characters, backslash, drive letter, invalid UTF-16, too long. Spaces, Unicode and hidden names are fine.
    /// </summary>
    public static string? Problem(string path) => throw new NotImplementedException();

    /// <summary>Null when the paths can stand together, else the reason: duplicates, case-fold collisions (files or folders), a file that is also a folder.</summary>
    public static string? Collision(IEnumerable<string> paths) => throw new NotImplementedException();
}
