namespace P2PWeights.Store.Folders;

/// <summary>One way in which a folder differs from a manifest.</summary>
/// <param name="Path">File, relative to the folder.</param>
/// <param name="Kind">missing, foreign, size, or bytes.</param>
/// <param name="Offset">Start of the differing extent; -1 when the whole file is meant.</param>
/// <param name="Length">Bytes of the extent; -1 when the whole file is meant.</param>
/// <param name="Detail">A sentence for people.</param>
public sealed record FolderDifference(string Path, DifferenceKind Kind, long Offset, long Length, string Detail);

/// <summary>How a file differs.</summary>
public enum DifferenceKind
{
    /// <summary>The manifest has the file, the folder does not (or has it unfinished only).</summary>
    Missing,

    /// <summary>The folder has it, the manifest does not.</summary>
    Foreign,

    /// <summary>The file is longer or shorter.</summary>
    Size,

    /// <summary>An extent does not hash to its digest.</summary>
    Bytes,
}
