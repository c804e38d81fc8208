using P2PWeights.Native.Posix;

namespace P2PWeights.Store.Memory;

/// <summary>
/// Removes arenas that nobody will open again: memory that would stay taken until the machine restarts. An arena goes when no process holds its lock and it is either
/// a killed command's, or that of a node whose data folder is gone or belongs to another node by now. Anything else is left alone, whatever is not understood above all.
/// Several may sweep at once, and nodes may open their arenas meanwhile: whoever has the lock of the file that the path leads to decides.
/// </summary>
internal static class ArenaSweeper
{
    /// <summary>Sweeps a folder of arenas and says how many went.</summary>
    /// <param name="except">The node that is starting: its data folder may have moved since its arena was written, and it is about to say so itself.</param>
    public static int Sweep(string root, Guid except)
    {
        try
        {
            return Directory.GetDirectories(root, Arena.FolderPrefix + "*").Count(folder => TryRemove(folder, except));
        }
        catch (Exception failure) when (StoreFailure.IsOfFileSystem(failure))
        {
            // No such folder, or not one to be listed. Whether it can hold an arena is found out by whoever makes one.
            return 0;
        }
    }

    private static bool TryRemove(string folder, Guid except)
    {
        try
        {
            // Exactly what Arena makes: /dev/shm is open to every user of the machine.
            if (!Guid.TryParseExact(Path.GetFileName(folder.AsSpan())[Arena.FolderPrefix.Length..], "N", out var nodeId)
                || nodeId == except
                || PosixFile.TryStat(folder, followSymlinks: false)?.Kind != FileKind.Folder)
            {
                return false;
            }

            var path = Path.Combine(folder, Arena.FileName);
            using var file = PosixFile.TryLockExisting(path);
            if (file is null || !Arena.IsAt(path, file) || Arena.ReadHeader(file) is not { } header || !IsOrphan(header, header.ReadOwner(file), nodeId))
            {
                return false;
            }

            Arena.Remove(folder);
            return true;
        }
        catch (Exception failure) when (StoreFailure.IsOfFileSystem(failure))
        {
            // Another user's, or gone meanwhile, or its data folder may not be looked at: not ours to judge.
            return false;
        }
    }

    private static bool IsOrphan(in ArenaHeader header, string? dataFolder, Guid nodeId) =>
        header.Magic is 0 or ArenaHeader.ExpectedMagic // 0 while it is being made, which nobody does who has not locked it
        && header.Version == ArenaHeader.ExpectedVersion
        && (header.Ephemeral == 1 || (dataFolder is not null && !DataFolder.MayBeOf(dataFolder, nodeId)));
}
