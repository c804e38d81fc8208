using System.Text;
using P2PWeights.Native.Posix;
using P2PWeights.Store.Content;
using P2PWeights.Store.Hashing;

namespace P2PWeights.Store.Index;

/// <summary>
/// The folder of the index and its seal: a text file with the digest of every checkpoint file, written after the checkpoint. Only a sealed, unchanged
/// checkpoint is handed to FASTER; anything else (a crash while one was written, a damaged disk, foreign files) is cleared away and the index rebuilt.
/// </summary>
internal static class IndexFolder
{
    private const string SealName = "seal";

    /// <summary>Opens the index in a folder; <paramref name="problem"/> says why its checkpoint is not used, null when it is or when there is none.</summary>
    public static ShardIndex Open(string folder, ChangeQueue changes, out string? problem)
    {
        problem = null;
        Directory.CreateDirectory(folder);
        DurableFile.RemoveUnfinished(folder);
        var isNew = !Directory.EnumerateFileSystemEntries(folder).Any();
        if (!isNew && (problem = SealProblem(folder)) is null)
        {
            try
            {
                return ShardIndex.Open(folder, recover: true, changes);
            }
            catch (Exception failure) when (failure is FASTER.core.FasterException or IOException)
            {
                problem = failure.Message;
            }
        }

        Directory.Delete(folder, recursive: true);
        Directory.CreateDirectory(folder);
        return ShardIndex.Open(folder, recover: false, changes);
    }

    /// <summary>Writes a checkpoint and seals it.</summary>
    public static async Task CheckpointAsync(string folder, ShardIndex index, CancellationToken cancellationToken)
    {
        var seal = Path.Combine(folder, SealName);
        File.Delete(seal);
        await index.CheckpointAsync(cancellationToken).ConfigureAwait(false);
        var lines = CheckpointFiles(folder).Select(file => $"{Hash(file)} {Path.GetRelativePath(folder, file)}");
        DurableFile.Write(seal, Encoding.UTF8.GetBytes(string.Join('\n', lines) + '\n'));
    }

    private static string? SealProblem(string folder)
    {
        var seal = Path.Combine(folder, SealName);
        if (!File.Exists(seal))
        {
            return "its last checkpoint was not finished";
        }

        var sealedFiles = File.ReadAllLines(seal).Order(StringComparer.Ordinal);
        var found = CheckpointFiles(folder).Select(file => $"{Hash(file)} {Path.GetRelativePath(folder, file)}").Order(StringComparer.Ordinal);
        return sealedFiles.SequenceEqual(found, StringComparer.Ordinal) ? null : "its checkpoint was changed or damaged";
    }

    /// <summary>The files that make up the checkpoint: all in subfolders. The log beside them goes on being written.</summary>
    private static IEnumerable<string> CheckpointFiles(string folder) =>
        Directory.EnumerateDirectories(folder).SelectMany(sub => Directory.EnumerateFiles(sub, "*", SearchOption.AllDirectories));

    private static Digest Hash(string path)
    {
        using var file = File.OpenRead(path);
        var hasher = new Blake3Hasher();
        var buffer = new byte[1 << 20];
        while (file.Read(buffer) is var read and > 0)
        {
            hasher.Update(buffer.AsSpan(0, read));
        }

        return hasher.Finish();
    }
}
