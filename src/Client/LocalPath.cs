namespace P2PWeights.Client;

/// <summary>Paths in requests: they come from another process, whose working folder is not the node's, so only absolute ones mean anything.</summary>
internal static class LocalPath
{
    /// <summary>The full, normalised path.</summary>
    /// <param name="what">What the path stands for, for the message.</param>
    /// <exception cref="NodeException"><see cref="NodeError.Usage"/>: empty, relative or malformed.</exception>
    public static string Require(string path, string what)
    {
        if (path.Contains('\0') || !Path.IsPathFullyQualified(path))
        {
            throw new NodeException(NodeError.Usage, $"{what} must be an absolute path, not '{path.Replace("\0", "\\0", StringComparison.Ordinal)}'");
        }

        return Path.TrimEndingDirectorySeparator(Path.GetFullPath(path));
    }

    /// <summary>The full path of a folder that is there.</summary>
    /// <exception cref="NodeException"><see cref="NodeError.Usage"/>: not an absolute path, or no folder there.</exception>
    public static string RequireFolder(string path, string what)
    {
        var full = Require(path, what);
        return Directory.Exists(full)
            ? full
            : throw new NodeException(NodeError.Usage, File.Exists(full) ? $"{what} is a file, not a folder: {full}" : $"{what} is missing: {full}");
    }

    /// <summary>The full path of a folder that is there or can be made.</summary>
    /// <exception cref="NodeException"><see cref="NodeError.Usage"/>: not an absolute path, or a file.</exception>
    public static string RequireTarget(string path, string what)
    {
        var full = Require(path, what);
        return File.Exists(full) ? throw new NodeException(NodeError.Usage, $"{what} is a file, not a folder: {full}; choose another") : full;
    }
}
