namespace P2PWeights.Cli.Demo;

/// <summary>
/// Compares two folders byte for byte, without hashes and without any code that pulled them: the demo's proof must not rest on what it proves.
/// </summary>
internal static class FolderComparison
{
    private const int BlockBytes = 1 << 20;

    /// <summary>The first difference as a sentence, or null when both hold the same files with the same bytes.</summary>
    public static string? FirstDifference(string expected, string actual, CancellationToken cancellationToken)
    {
        var expectedFiles = FilesOf(expected);
        var actualFiles = FilesOf(actual);
        if (expectedFiles.Except(actualFiles).FirstOrDefault() is { } missing)
            return $"{Path.Combine(actual, missing)} is missing";
        if (actualFiles.Except(expectedFiles).FirstOrDefault() is { } foreign)
            return $"{Path.Combine(actual, foreign)} was never published";
        return expectedFiles
            .Select(file => CompareFile(Path.Combine(expected, file), Path.Combine(actual, file), cancellationToken))
            .FirstOrDefault(difference => difference is not null);
    }

    /// <summary>Files of a folder, relative to it.</summary>
    public static IReadOnlySet<string> FilesOf(string folder) =>
        Directory.EnumerateFiles(folder, "*", new EnumerationOptions { RecurseSubdirectories = true, AttributesToSkip = FileAttributes.None })
            .Select(file => Path.GetRelativePath(folder, file)).ToSortedSet();

    private static SortedSet<string> ToSortedSet(this IEnumerable<string> files) => new(files, StringComparer.Ordinal);

    private static string? CompareFile(string expected, string actual, CancellationToken cancellationToken)
    {
        using var expectedFile = File.OpenHandle(expected, options: FileOptions.SequentialScan);
        using var actualFile = File.OpenHandle(actual, options: FileOptions.SequentialScan);
        var length = RandomAccess.GetLength(expectedFile);
        if (RandomAccess.GetLength(actualFile) != length)
            return $"{actual} has {RandomAccess.GetLength(actualFile)} bytes, not {length}";
        var expectedBlock = new byte[BlockBytes];
        var actualBlock = new byte[BlockBytes];
        for (long offset = 0; offset < length;)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var expectedRead = RandomAccess.Read(expectedFile, expectedBlock, offset);
            // A read may give less than it could: take as much of the other file.
            var actualRead = RandomAccess.Read(actualFile, actualBlock.AsSpan(0, expectedRead), offset);
            if (actualRead == 0)
                return $"{actual} ends at byte {offset}, not at {length}";
            var same = expectedBlock.AsSpan(0, actualRead).CommonPrefixLength(actualBlock.AsSpan(0, actualRead));
            if (same < actualRead)
                return $"{actual} differs at byte {offset + same}";
            offset += actualRead;
        }

        return null;
    }
}
