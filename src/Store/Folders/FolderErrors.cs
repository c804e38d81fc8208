using System.Globalization;
using P2PWeights.Native.Posix;

namespace P2PWeights.Store.Folders;

/// <summary>Turns failures of the file system into this project's exception.</summary>
internal static class FolderErrors
{
    /// <summary>What a failed call on a user's file or folder means.</summary>
    /// <param name="error">An IOException or UnauthorizedAccessException.</param>
    /// <param name="what">What could not be done, naming the file.</param>
    public static StoreException Wrap(Exception error, string what) => Errno.Of(error) switch
    {
        Errno.NoSpace or Errno.QuotaExceeded =>
            new StoreException(StoreError.Full, $"{what}: the disk is full. What was written stays; make room and run the same command again", inner: error),
        Errno.SymlinkLoop or Errno.NotAFolder =>
            new StoreException(StoreError.NotAllowed, $"{what}: a symlink or a file stands where a plain folder or file should be ({error.Message}). Remove it or choose another folder", inner: error),
        Errno.AccessDenied or Errno.NotPermitted or Errno.ReadOnlyFileSystem =>
            new StoreException(StoreError.NotAllowed, $"{what}: {error.Message}. Check the owner, the mode and the mount", inner: error),
        Errno.NotFound =>
            new StoreException(StoreError.NotAllowed, $"{what}: it is not there ({error.Message})", inner: error),
        _ => new StoreException(StoreError.Io, $"{what}: {error.Message}", inner: error),
    };

    /// <summary>Space for a whole file could not be reserved.</summary>
    public static StoreException Full(string path, long neededBytes, Exception error) => new(
        StoreError.Full,
        string.Create(CultureInfo.InvariantCulture, $"the disk is full: '{path}' needs {neededBytes} more bytes, {FreeBytes(path)} are free. What was pulled so far stays; make room and pull again"),
        inner: error);

    private static string FreeBytes(string path)
    {
        try
        {
            return PosixFile.FreeBytes(Path.GetDirectoryName(path)!).ToString(CultureInfo.InvariantCulture);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return "unknown";
        }
    }
}
