using P2PWeights.Native.Posix;
using P2PWeights.Store.Content;

namespace P2PWeights.Store;

/// <summary>Turns what the operating system reports into the store's own errors, with what to do next.</summary>
internal static class StoreFailure
{
    /// <summary>Whether an exception is a failure of the file system, not a bug.</summary>
    public static bool IsOfFileSystem(Exception exception) => exception is IOException or UnauthorizedAccessException;

    /// <param name="doing">What failed, as the start of a sentence: "writing shard ab12".</param>
    public static StoreException Of(Exception failure, string doing, Digest? shard = null)
    {
        if (Errno.IsDiskFull(failure))
        {
            return new StoreException(StoreError.Full, $"{doing} failed: the disk is full; free some room and try again, what is stored stays", shard, failure);
        }

        return failure is UnauthorizedAccessException || Errno.Of(failure) is Errno.AccessDenied or Errno.NotPermitted or Errno.ReadOnlyFileSystem
            ? new StoreException(StoreError.NotAllowed, $"{doing} failed: {failure.Message}; check the owner and the permissions", shard, failure)
            : new StoreException(StoreError.Io, $"{doing} failed: {failure.Message}", shard, failure);
    }
}
