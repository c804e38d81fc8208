using System.Text;

namespace P2PWeights.Store.Content;

/// <summary>The rules for file paths in a manifest, the same for the publisher and for whoever reads a manifest from outside.</summary>
public static class ManifestPath
{
    /// <summary>Longest path, in UTF-8 bytes (PATH_MAX on Linux is 4096 with the target folder in front).</summary>
    public const int MaxPathBytes = 1024;

    /// <summary>Longest single name, in UTF-8 bytes (NAME_MAX is 255; room is kept for the suffix of unfinished files).</summary>
    public const int MaxNameBytes = 200;

    /// <summary>Most names in one path.</summary>
    public const int MaxNames = 32;

    /// <summary>
    /// Null when the path may stand in a manifest, else the reason it may not: empty, absolute, <c>.</c> or <c>..</c> or empty parts, NUL or other
    /// control characters, backslash, drive letter, invalid UTF-16, too long, too deep. Spaces, Unicode and hidden names are fine.
    /// </summary>
    public static string? Problem(string path)
    {
        ArgumentNullException.ThrowIfNull(path);
        if (path.Length == 0)
        {
            return "the path is empty";
        }

        if (path.Length > MaxPathBytes || Encoding.UTF8.GetByteCount(path) > MaxPathBytes)
        {
            return $"the path {PrintableText.Quote(path)} is longer than {MaxPathBytes} bytes";
        }

        return (CharacterProblem(path) ?? ShapeProblem(path)) is { } problem ? $"the path {PrintableText.Quote(path)} {problem}" : null;
    }

    /// <summary>Null when the paths can stand together, else the reason: duplicates, case-fold collisions (files or folders), a file that is also a folder.</summary>
    public static string? Collision(IEnumerable<string> paths)
    {
        ArgumentNullException.ThrowIfNull(paths);

        // A tree of names, so that its size grows with the paths' length and not with its square. Node 0 is the root.
        var nodes = new Dictionary<(int Parent, string Folded), Node>();
        foreach (var path in paths)
        {
            var parent = 0;
            var names = path.Split('/');
            for (var i = 0; i < names.Length; i++)
            {
                var isFile = i == names.Length - 1;
                var key = (parent, Fold(names[i]));
                if (!nodes.TryGetValue(key, out var node))
                {
                    node = new Node(nodes.Count + 1, names[i], isFile, path);
                    nodes.Add(key, node);
                }
                else if (node.Name != names[i])
                {
                    return $"{PrintableText.Quote(path)} and {PrintableText.Quote(node.FirstPath)} differ only in upper and lower case";
                }
                else if (isFile && node.IsFile)
                {
                    return $"{PrintableText.Quote(path)} stands twice";
                }
                else if (isFile || node.IsFile)
                {
                    var (file, inside) = isFile ? (path, node.FirstPath) : (node.FirstPath, path);
                    return $"{PrintableText.Quote(file)} is a file, and a folder in {PrintableText.Quote(inside)}";
                }

                parent = node.Id;
            }
        }

        return null;
    }

    private static string? CharacterProblem(string path)
    {
        for (var i = 0; i < path.Length; i++)
        {
            var c = path[i];
            if (char.IsControl(c))
            {
                return $"has the control character U+{(int)c:X4}";
            }

            if (c == '\\')
            {
                return "has a backslash; folders are separated by /";
            }

            if (char.IsSurrogate(c))
            {
                if (i + 1 == path.Length || !char.IsSurrogatePair(c, path[i + 1]))
                {
                    return "is not valid Unicode: it has half a surrogate pair";
                }

                i++;
            }
        }

        return null;
    }

    private static string? ShapeProblem(string path)
    {
        if (path[0] == '/')
        {
            return "is absolute; paths are relative to the checkpoint's folder";
        }

        if (path.Length >= 2 && char.IsAsciiLetter(path[0]) && path[1] == ':')
        {
            return "starts with a drive letter; paths are relative to the checkpoint's folder";
        }

        var names = path.Split('/');
        if (names.Length > MaxNames)
        {
            return $"has {names.Length} names, at most {MaxNames} are allowed";
        }

        foreach (var name in names)
        {
            if (name.Length == 0)
            {
                return "has an empty part";
            }

            if (name is "." or "..")
            {
                return $"has the part '{name}'";
            }

            if (Encoding.UTF8.GetByteCount(name) > MaxNameBytes)
            {
                return $"has a part longer than {MaxNameBytes} bytes";
            }
        }

        return null;
    }

    // Up and then down: some characters share only one of the two cases (K and the Kelvin sign its lower one).
    private static string Fold(string name) => name.ToUpperInvariant().ToLowerInvariant();

    private readonly record struct Node(int Id, string Name, bool IsFile, string FirstPath);
}
