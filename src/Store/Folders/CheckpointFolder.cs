using Microsoft.Win32.SafeHandles;
using P2PWeights.Native;
using P2PWeights.Native.Posix;
using P2PWeights.Store.Content;

namespace P2PWeights.Store.Folders;

/// <summary>
/// A folder that becomes, or is, the files of one checkpoint. Unfinished files are named <c>NAME.MANIFEST.partial</c> (MANIFEST: first 16 hex digits of the
/// manifest's digest), so an unfinished pull is recognised without any other state. Shards are written at their final offsets.
/// </summary>
/// <remarks>
/// Call <see cref="Open"/>, <see cref="ScanAsync"/>, then let the store write what is missing, then <see cref="CompleteAsync"/>. Writes are not synced one by one: after a
/// crash the scan's hashes tell what is there. A file has its final name only when all its bytes are verified and synced.
/// Writes may come from several threads; scan and completion are each one at a time. A file is open only from its first shard to its last.
/// </remarks>
public sealed class CheckpointFolder : IAsyncDisposable
{
    private readonly FolderPlan _plan;
    private readonly FolderHandle _folder;
    private readonly PulledFile[] _files;

    /// <summary>Parents of the folders that <see cref="Open"/> created, to be synced with the rest.</summary>
    private readonly List<string> _changedParents;

    private volatile bool _mayWrite;

    private CheckpointFolder(FolderPlan plan, FolderHandle folder, PulledFile[] files, List<string> changedParents)
    {
        (_plan, _folder, _files, _changedParents) = (plan, folder, files, changedParents);
        _mayWrite = !files.Any(file => file.IsFinal || file.HasPartial);
    }

    public string Path => _folder.Path;

    public Manifest Manifest => _plan.Manifest;

    /// <summary>
    /// Opens a target: missing, empty, or the unfinished or finished pull of the same checkpoint. Never follows a symlink inside the folder.
    /// The folder is locked until disposal: two pulls never write to one folder at once.
    /// </summary>
    /// <exception cref="StoreException"><see cref="StoreError.NotAllowed"/>: something else is there; the message names it.
    /// <see cref="StoreError.Locked"/>: another pull has it open.</exception>
    public static CheckpointFolder Open(string path, Manifest manifest)
    {
        path = System.IO.Path.TrimEndingDirectorySeparator(System.IO.Path.GetFullPath(path));

        // A manifest was checked when it was read; whoever writes files by its names checks once more.
        foreach (var file in manifest.Files)
        {
            if (ManifestPath.Problem(file.Path) is { } problem)
            {
                throw new StoreException(StoreError.NotAllowed, $"the manifest's file '{file.Path}' cannot be written: {problem}");
            }
        }

        FolderHandle? folder = null;
        try
        {
            var changedParents = Create(path);

            // Without symlinks: the files are referenced by path for longer than a link such as "latest" stays.
            path = PosixFile.RealPath(path);
            folder = FolderHandle.Open(path);
            if (!folder.TryLock(PosixFile.ForkPatience))
            {
                throw new StoreException(StoreError.Locked, $"another pull is writing to '{path}': wait for it, or choose another folder");
            }

            var plan = new FolderPlan(manifest);
            var files = manifest.Files
                .Select((file, i) => new PulledFile(folder, file, plan.PartialPath(file.Path), plan.Extents[i]))
                .ToArray();
            Recognise(path, plan, files);
            return new CheckpointFolder(plan, folder, files, changedParents);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            folder?.Dispose();
            throw FolderErrors.Wrap(error, $"the folder '{path}' cannot be used");
        }
        catch
        {
            folder?.Dispose();
            throw;
        }
    }

    /// <summary>Hashes what is already there. Returns, per shard ordinal, whether all its places hold its bytes.</summary>
    /// <param name="progress">Bytes looked at so far.</param>
    /// <exception cref="StoreException"><see cref="StoreError.NotAllowed"/>: a finished file differs from the manifest; it is not overwritten.</exception>
    public async Task<bool[]> ScanAsync(IProgress<long>? progress, CancellationToken cancellationToken)
    {
        var present = _files.Where(file => file.IsFinal || file.HasPartial).ToArray();
        foreach (var file in present.Where(file => file.IsFinal))
        {
            RequireSize(file);
        }

        var targets = present.Select(file => new FolderScan.Target(file.RelativePath, file.Extents, Unfinished: !file.IsFinal)).ToArray();
        await FolderScan.RunAsync(_folder, targets, Judge, progress, cancellationToken).ConfigureAwait(false);
        _mayWrite = true;
        return [.. Enumerable.Range(0, Manifest.Shards.Length).Select(IsInPlace)];

        void Judge(int target, int extent, bool right)
        {
            if (right)
            {
                present[target].MarkInPlace(extent);
            }
            else if (present[target].IsFinal)
            {
                var (shard, offset) = present[target].Extents[extent];
                throw NotOurs(present[target], $"its bytes {offset} to {offset + shard.Size} differ", shard.Digest);
            }
        }
    }

    /// <summary>
    /// Syncs and renames every file to its final name; then, and only then, the folder holds the checkpoint. All shards must be in place.
    /// May be called again, after a failure or a success.
    /// </summary>
    /// <returns>The files, to be referenced by the store.</returns>
    /// <exception cref="InvalidOperationException">A shard is not in place.</exception>
    /// <exception cref="StoreException">A sync or rename failed, or something else took a final name meanwhile. Files renamed so far keep their names.</exception>
    public Task<IReadOnlyList<FinishedFile>> CompleteAsync(CancellationToken cancellationToken)
    {
        var missing = Enumerable.Range(0, Manifest.Shards.Length).Where(ordinal => !IsInPlace(ordinal)).ToList();
        if (!_mayWrite || missing.Count > 0)
        {
            throw new InvalidOperationException($"'{Path}' is not complete: {missing.Count} of {Manifest.Shards.Length} shards are not in place");
        }

        return Task.Run(() => Complete(cancellationToken), cancellationToken);
    }

    /// <summary>Closes the files; unfinished ones stay for a later pull.</summary>
    public ValueTask DisposeAsync()
    {
        foreach (var file in _files)
        {
            file.Dispose();
        }

        _folder.Dispose();
        return ValueTask.CompletedTask;
    }

    /// <summary>Compares a folder with a manifest without changing it: every missing, foreign and differing file, and every differing extent.</summary>
    /// <exception cref="StoreException">The folder is missing, or something in it cannot be read.</exception>
    public static Task<IReadOnlyList<FolderDifference>> CompareAsync(string path, Manifest manifest, IProgress<long>? progress, CancellationToken cancellationToken) =>
        FolderComparison.RunAsync(path, new FolderPlan(manifest), progress, cancellationToken);

    /// <summary>Writes a shard's bytes, verified by the caller, to every place that lacks them. Returns all its places; not synced.</summary>
    /// <exception cref="ArgumentException">The manifest has no such shard.</exception>
    /// <exception cref="InvalidOperationException">The folder was not empty and has not been scanned.</exception>
    /// <exception cref="StoreException"><see cref="StoreError.Full"/>, with the bytes needed and free; NotAllowed or Io.</exception>
    internal async ValueTask<IReadOnlyList<ShardPlace>> WriteShardAsync(ShardInfo shard, ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        var ordinal = OrdinalToWrite(shard, bytes.Length);
        for (var i = 0; i < _plan.PlacesOf(ordinal).Length; i++)
        {
            var (file, extent) = _plan.PlacesOf(ordinal)[i];
            if (!_files[file].IsInPlace(extent))
            {
                await _files[file].WriteAsync(extent, bytes, cancellationToken).ConfigureAwait(false);
            }
        }

        return PlacesOf(shard.Digest);
    }

    /// <summary>
    /// Copies a shard from a range of another file to every place that lacks it, sharing blocks where the file system can, and hashes it in each place.
    /// Returns all its places; null when the kernel cannot copy from that file to this folder.
    /// </summary>
    /// <exception cref="StoreException"><see cref="StoreError.WrongDigest"/>: the range does not hold the shard; else as <see cref="WriteShardAsync"/>.</exception>
    internal async ValueTask<IReadOnlyList<ShardPlace>?> TryCopyShardAsync(ShardInfo shard, SafeFileHandle source, long offset, CancellationToken cancellationToken)
    {
        var ordinal = OrdinalToWrite(shard, shard.Size);
        return await Task.Run(() => TryCopy(ordinal, source, offset, cancellationToken), cancellationToken).ConfigureAwait(false) ? PlacesOf(shard.Digest) : null;
    }

    /// <summary>Where a shard lies in this folder, as the files are named now; only places that a scan or a write proved. Empty for others.</summary>
    internal IReadOnlyList<ShardPlace> PlacesOf(Digest digest)
    {
        if (_plan.Ordinal(digest) is not { } ordinal)
        {
            return [];
        }

        var places = new List<ShardPlace>();
        foreach (var (file, extent) in _plan.PlacesOf(ordinal))
        {
            if (_files[file].IsInPlace(extent))
            {
                places.Add(new ShardPlace(_files[file].FullPath, _files[file].Extents[extent].Offset));
            }
        }

        return places;
    }

    private bool TryCopy(int ordinal, SafeFileHandle source, long offset, CancellationToken cancellationToken)
    {
        foreach (var (file, extent) in _plan.PlacesOf(ordinal))
        {
            cancellationToken.ThrowIfCancellationRequested();
            if (!_files[file].IsInPlace(extent) && !_files[file].TryCopy(extent, source, offset))
            {
                return false;
            }
        }

        return true;
    }

    private int OrdinalToWrite(ShardInfo shard, int length)
    {
        if (!_mayWrite)
        {
            throw new InvalidOperationException($"'{Path}' holds files that have not been scanned");
        }

        return _plan.Ordinal(shard.Digest) is { } ordinal && length == Manifest.Shards[ordinal].Size
            ? ordinal
            : throw new ArgumentException($"manifest {Manifest.Digest.ToShortString()} has no shard {shard.Digest.ToShortString()} of {length} bytes", nameof(shard));
    }

    /// <summary>Creates the folder when it is missing, and says in which folders that made a new name.</summary>
    private static List<string> Create(string path)
    {
        var changed = new List<string>();
        for (var current = path; !Directory.Exists(current) && System.IO.Path.GetDirectoryName(current) is { } parent; current = parent)
        {
            changed.Add(parent);
        }

        Directory.CreateDirectory(path);
        return changed;
    }

    /// <summary>Tells final and unfinished files from everything else, which is refused.</summary>
    private static void Recognise(string path, FolderPlan plan, PulledFile[] files)
    {
        foreach (var entry in FolderSurvey.Entries(path, plan))
        {
            switch (entry.Role)
            {
                case EntryRole.Final:
                    files[entry.File].IsFinal = true;
                    break;
                case EntryRole.Partial:
                    files[entry.File].HasPartial = true;
                    break;
                case EntryRole.Foreign:
                    throw new StoreException(
                        StoreError.NotAllowed,
                        $"'{path}' holds '{entry.Path}', {entry.Reason}: nothing was changed. Choose an empty folder, or the one where a pull of this checkpoint was begun");
            }
        }
    }

    private bool IsInPlace(int ordinal)
    {
        foreach (var (file, extent) in _plan.PlacesOf(ordinal))
        {
            if (!_files[file].IsInPlace(extent))
            {
                return false;
            }
        }

        return true;
    }

    private void RequireSize(PulledFile file)
    {
        var expected = file.Extents.Sum(extent => (long)extent.Shard.Size);
        if (_folder.TryStat(file.RelativePath) is not { } stat || stat.Size != expected)
        {
            throw NotOurs(file, $"it should have {expected} bytes", shard: null);
        }
    }

    private static StoreException NotOurs(PulledFile file, string how, Digest? shard) => new(
        StoreError.NotAllowed,
        $"'{file.FullPath}' is not the file of this checkpoint: {how}. It was not overwritten: move it away, or choose another folder",
        shard);

    private IReadOnlyList<FinishedFile> Complete(CancellationToken cancellationToken)
    {
        try
        {
            // First every byte, then every name, then the folders: a crash anywhere in between leaves unfinished files or whole ones.
            var unfinished = _files.Where(file => !file.IsFinal).ToList();
            foreach (var file in unfinished)
            {
                cancellationToken.ThrowIfCancellationRequested();
                file.Sync();
            }

            foreach (var file in unfinished)
            {
                file.Finish();
            }

            foreach (var file in _files.Where(file => file.HasPartial))
            {
                file.DropPartial();
            }

            foreach (var folder in _plan.Folders.Append(""))
            {
                _folder.SyncFolder(folder);
            }

            _changedParents.ForEach(PosixFile.SyncFolder);
            return [.. _files.Select(Finished)];
        }
        catch (NativeException error) when (error.Code == Errno.Exists)
        {
            throw new StoreException(
                StoreError.NotAllowed, $"a file appeared in '{Path}' during the pull and is not overwritten: {error.Message}. Move it away and pull again", inner: error);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw FolderErrors.Wrap(error, $"'{Path}' cannot be completed");
        }
    }

    private FinishedFile Finished(PulledFile file)
    {
        using var handle = _folder.OpenFile(file.RelativePath, FileOpening.Read)
            ?? throw new FileNotFoundException($"'{file.FullPath}' was removed");
        return new FinishedFile(file.FullPath, FileIdentity.Of(handle), file.Extents);
    }
}
