using Microsoft.Win32.SafeHandles;
using P2PWeights.Native.Posix;

namespace P2PWeights.Store.Folders;

/// <summary>Hashes the extents of files in a folder, on all cores.</summary>
internal static class FolderScan
{
    /// <summary>One file to check.</summary>
    /// <param name="Path">Relative to the folder.</param>
    /// <param name="Extents">What it should hold.</param>
    /// <param name="Unfinished">Whether ranges never written (holes) count as wrong without being hashed.</param>
    public sealed record Target(string Path, IReadOnlyList<FileExtent> Extents, bool Unfinished);

    /// <summary>Hashes every extent of every target and tells of each whether the bytes are right.</summary>
    /// <param name="judge">Called from several threads with target, extent and verdict. What it throws ends the scan; of several, the first in file order is thrown.</param>
    /// <param name="progress">Bytes judged so far.</param>
    /// <exception cref="StoreException">A file cannot be read.</exception>
    public static async Task RunAsync(
        FolderHandle folder, IReadOnlyList<Target> targets, Action<int, int, bool> judge, IProgress<long>? progress, CancellationToken cancellationToken)
    {
        var jobs = targets.SelectMany((target, file) => Enumerable.Range(0, target.Extents.Count).Select(extent => (file, extent))).ToArray();
        var files = targets.Select(target => new OpenFile(folder, target)).ToArray();
        var judged = 0L;
        try
        {
            await Cores.ForAsync(
                jobs.Length,
                int.MaxValue,
                () => new ExtentHasher(),
                (hasher, job) =>
                {
                    var (file, extent) = jobs[job];
                    var expected = targets[file].Extents[extent];
                    judge(file, extent, files[file].Holds(expected, hasher));
                    progress?.Report(Interlocked.Add(ref judged, expected.Shard.Size));
                    return default;
                },
                cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            foreach (var file in files)
            {
                file.Dispose();
            }
        }
    }

    /// <summary>A target's handle: opened by the first extent, closed after the last, so that few are open at a time however many files there are.</summary>
    private sealed class OpenFile(FolderHandle folder, Target target) : IDisposable
    {
        private readonly Lock _gate = new();
        private SafeFileHandle? _file;
        private int _left = target.Extents.Count;

        public bool Holds(FileExtent extent, ExtentHasher hasher)
        {
            try
            {
                var file = Open();
                if (file is null || (target.Unfinished && IsHole(file, extent)))
                {
                    return false;
                }

                return hasher.Hash(file, extent.Offset, extent.Shard.Size) == extent.Shard.Digest;
            }
            catch (Exception error) when (error is IOException or UnauthorizedAccessException)
            {
                throw FolderErrors.Wrap(error, $"'{Path.Combine(folder.Path, target.Path)}' cannot be read");
            }
            finally
            {
                if (Interlocked.Decrement(ref _left) == 0)
                {
                    Dispose();
                }
            }
        }

        public void Dispose() => _file?.Dispose();

        private SafeFileHandle? Open()
        {
            lock (_gate)
            {
                return _file ??= folder.OpenFile(target.Path, FileOpening.Read);
            }
        }

        private static bool IsHole(SafeFileHandle file, FileExtent extent) =>
            PosixFile.SeekData(file, extent.Offset) is not { } data || data >= extent.Offset + extent.Shard.Size;
    }
}
