using P2PWeights.Native.Posix;

namespace P2PWeights.Store.Folders;

/// <summary>Looks at what lies in folders. Only a look: whatever is opened later is opened through <see cref="FolderHandle"/> and checked again.</summary>
internal static class FolderSurvey
{
    /// <summary>Everything in a target folder, in ordinal order. Foreign folders are named and not descended into.</summary>
    /// <exception cref="StoreException">A folder cannot be read.</exception>
    public static IEnumerable<FolderEntry> Entries(string root, FolderPlan plan)
    {
        var pending = new Stack<string>([""]);
        while (pending.TryPop(out var folder))
        {
            foreach (var name in Names(Path.Combine(root, folder)))
            {
                var relative = folder.Length == 0 ? name : $"{folder}/{name}";
                var entry = PosixFile.TryStat(Path.Combine(root, relative), followSymlinks: false) is { } stat
                    ? plan.Classify(relative, stat.Kind)
                    : FolderEntry.Foreign(relative, "a name that cannot be read (not UTF-8), or that vanished meanwhile");
                if (entry.Role == EntryRole.Folder)
                {
                    pending.Push(relative);
                }

                yield return entry;
            }
        }
    }

    /// <summary>The names in one folder, hidden ones too, in ordinal order.</summary>
    /// <exception cref="StoreException">The folder cannot be read.</exception>
    public static IReadOnlyList<string> Names(string folder)
    {
        try
        {
            var names = Directory.EnumerateFileSystemEntries(folder).Select(path => Path.GetFileName(path)!).ToList();
            names.Sort(StringComparer.Ordinal);
            return names;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw FolderErrors.Wrap(error, $"'{folder}' cannot be listed");
        }
    }
}
