using P2PWeights.Native.Posix;

namespace P2PWeights.Store.Folders;

/// <summary>Compares a folder with a manifest; see <see cref="CheckpointFolder.CompareAsync"/>.</summary>
internal static class FolderComparison
{
    public static async Task<IReadOnlyList<FolderDifference>> RunAsync(string path, FolderPlan plan, IProgress<long>? progress, CancellationToken cancellationToken)
    {
        path = Path.GetFullPath(path);
        FolderHandle folder;
        try
        {
            folder = FolderHandle.Open(path);
        }
        catch (IOException error)
        {
            throw FolderErrors.Wrap(error, $"the folder '{path}' cannot be compared");
        }

        using (folder)
        {
            var entries = await Task.Run(() => FolderSurvey.Entries(path, plan).ToList(), cancellationToken).ConfigureAwait(false);
            var final = entries.Where(entry => entry.Role == EntryRole.Final).OrderBy(entry => entry.File).ToArray();
            var differences = new List<FolderDifference>();
            differences.AddRange(Missing(plan, entries, [.. final.Select(entry => entry.File)]));
            differences.AddRange(await DifferingAsync(folder, plan, final, progress, cancellationToken).ConfigureAwait(false));
            differences.AddRange(entries
                .Where(entry => entry.Role == EntryRole.Foreign)
                .Select(entry => Whole(entry.Path, DifferenceKind.Foreign, entry.Reason!)));
            return differences;
        }
    }

    private static IEnumerable<FolderDifference> Missing(FolderPlan plan, List<FolderEntry> entries, HashSet<int> final)
    {
        var unfinished = entries.Where(entry => entry.Role == EntryRole.Partial).Select(entry => entry.File).ToHashSet();
        for (var file = 0; file < plan.Manifest.Files.Length; file++)
        {
            if (!final.Contains(file))
            {
                var path = plan.Manifest.Files[file].Path;
                yield return Whole(path, DifferenceKind.Missing, unfinished.Contains(file)
                    ? $"unfinished: '{plan.PartialPath(path)}' is there; pull again to finish it"
                    : "the file is missing");
            }
        }
    }

    /// <summary>Sizes and bytes of the files that are there. Of a file that is too short, the extents past its end go with the size.</summary>
    private static async Task<IEnumerable<FolderDifference>> DifferingAsync(
        FolderHandle folder, FolderPlan plan, FolderEntry[] final, IProgress<long>? progress, CancellationToken cancellationToken)
    {
        var found = new List<(int File, long Offset, FolderDifference Difference)>();
        var targets = new FolderScan.Target[final.Length];
        for (var i = 0; i < final.Length; i++)
        {
            var file = final[i].File;
            var expected = plan.Manifest.Files[file].Size;
            var size = folder.TryStat(final[i].Path)?.Size ?? 0;
            if (size != expected)
            {
                found.Add((file, -1, Whole(final[i].Path, DifferenceKind.Size, $"{size} bytes instead of {expected}")));
            }

            targets[i] = new FolderScan.Target(
                final[i].Path, [.. plan.Extents[file].Where(extent => extent.Offset + extent.Shard.Size <= size)], Unfinished: false);
        }

        await FolderScan.RunAsync(folder, targets, Judge, progress, cancellationToken).ConfigureAwait(false);
        return found.OrderBy(entry => entry.File).ThenBy(entry => entry.Offset).Select(entry => entry.Difference);

        void Judge(int target, int extent, bool right)
        {
            if (right)
            {
                return;
            }

            var (shard, offset) = targets[target].Extents[extent];
            var difference = new FolderDifference(
                targets[target].Path, DifferenceKind.Bytes, offset, shard.Size, $"bytes {offset} to {offset + shard.Size} are not shard {shard.Digest.ToShortString()}");
            lock (found)
            {
                found.Add((final[target].File, offset, difference));
            }
        }
    }

    private static FolderDifference Whole(string path, DifferenceKind kind, string detail) => new(path, kind, -1, -1, detail);
}
