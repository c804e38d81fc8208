namespace P2PWeights.Native.Posix;

/// <summary>Files that are there whole or not at all, also after a power cut: temporary name, fsync, rename, fsync of the folder.</summary>
public static class DurableFile
{
    /// <summary>Ending of temporary names; what bears it at a start was left by a crash and can go.</summary>
    public const string TemporarySuffix = ".tmp";

    /// <summary>Writes a small file whole, replacing one that is there. Two may write the same file at once: the last rename counts.</summary>
    /// <exception cref="IOException">The file system failed; what was there before is still there.</exception>
    public static void Write(string path, ReadOnlySpan<byte> bytes)
    {
        var temporary = $"{path}.{Guid.NewGuid():N}{TemporarySuffix}";
        using (var file = File.OpenHandle(temporary, FileMode.Create, FileAccess.Write))
        {
            RandomAccess.Write(file, bytes, 0);
            RandomAccess.FlushToDisk(file);
        }

        Publish(temporary, path);
    }

    /// <summary>Gives a file, whose bytes are on disk already, its final name.</summary>
    public static void Publish(string temporary, string path)
    {
        File.Move(temporary, path, overwrite: true);
        PosixFile.SyncFolder(Path.GetDirectoryName(path)!);
    }

    /// <summary>Removes what <see cref="Write"/> left in a folder when its process was killed.</summary>
    public static void RemoveUnfinished(string folder)
    {
        foreach (var path in Directory.EnumerateFiles(folder, "*" + TemporarySuffix))
        {
            File.Delete(path);
        }
    }
}
