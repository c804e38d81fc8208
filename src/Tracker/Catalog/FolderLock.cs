using P2PWeights.Native;
using P2PWeights.Native.Posix;

namespace P2PWeights.Tracker.Catalog;

/// <summary>Keeps a second tracker out of a data folder: a lock on the file <c>lock</c>, which ends with the process however that ends.</summary>
internal static class FolderLock
{
    /// <summary>Creates the folder when it is missing and takes its lock; dispose to give it back.</summary>
    /// <exception cref="TrackerException">Another process has it, or the folder cannot be used.</exception>
    public static IDisposable Take(string folder)
    {
        try
        {
            Directory.CreateDirectory(folder);
            return PosixFile.TryLockExclusive(Path.Combine(folder, "lock"), PosixFile.ForkPatience)
                ?? throw new TrackerException(
                    TrackerError.Locked, $"the data folder {folder} is in use by another tracker; stop that one or choose another folder");
        }
        catch (Exception e) when (e is NativeException or IOException or UnauthorizedAccessException)
        {
            throw new TrackerException(TrackerError.Refused, $"the data folder {folder} cannot be used: {e.Message}", e);
        }
    }
}
