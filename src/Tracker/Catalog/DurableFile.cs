using P2PWeights.Native.Posix;

namespace P2PWeights.Tracker.Catalog;

/// <summary>Files that are there whole or not at all, also after a power cut: temporary name, fsync, rename, fsync of the folder.</summary>
internal static class DurableFile
{
    /// <summary>Ending of temporary names; what bears it at a start was left by a crash and can go.</summary>
    public const string TemporarySuffix = ".tmp";

    /// <summary>Writes a small file whole, replacing one that is there.</summary>
    public static void Write(string path, ReadOnlySpan<byte> bytes)
    {
        var temporary = path + TemporarySuffix;
        using (var file = new FileStream(temporary, FileMode.Create, FileAccess.Write, FileShare.None, bufferSize: 0))
        {
            file.Write(bytes);
            file.Flush(flushToDisk: true);
        }

        Publish(temporary, path);
    }

    /// <summary>Gives a file, whose bytes are on disk already, its final name.</summary>
    public static void Publish(string temporary, string path)
    {
        File.Move(temporary, path, overwrite: true);
        PosixFile.SyncFolder(Path.GetDirectoryName(path)!);
    }
}
