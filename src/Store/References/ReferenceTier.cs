using P2PWeights.Native.Posix;
using P2PWeights.Store.Content;
using P2PWeights.Store.Folders;
using P2PWeights.Store.Index;

namespace P2PWeights.Store.References;

/// <summary>
/// The reference tier: ranges of files that somebody else owns. Finished files are journalled, so that they are known after a restart;
/// files that a pull is still writing are not, the pull's own scan finds them again.
/// Changes to the set of files run one at a time; look-ups take a short lock.
/// </summary>
internal sealed class ReferenceTier(ShardIndex index, ReferenceJournal journal, TimeProvider time) : IDisposable
{
    private const int OpenFiles = 256;

    private readonly SemaphoreSlim _oneChange = new(1);
    private readonly OpenFileCache _open = new(OpenFiles);
    private readonly Lock _gate = new();
    private readonly Dictionary<int, ReferencedFile> _files = [];
    private readonly Dictionary<string, ReferencedFile> _byPath = new(StringComparer.Ordinal);
    private int _lastId;

    /// <summary>Shards that files hold, and their bytes; a shard in two files counts twice.</summary>
    public (long Shards, long Bytes) Usage
    {
        get
        {
            lock (_gate)
            {
                return (_files.Values.Sum(file => (long)file.Extents.Count), _files.Values.Sum(file => file.Extents.Sum(extent => (long)extent.Shard.Size)));
            }
        }
    }

    /// <summary>Takes over what the journal holds; files that changed since are dropped.</summary>
    /// <returns>Per shard, the file and offset to be indexed: the last journalled one.</returns>
    public Dictionary<Digest, (FileExtent Extent, int FileId)> Load()
    {
        foreach (var file in journal.Recovered)
        {
            _lastId = Math.Max(_lastId, file.Id);
            if (file.IsUnchanged())
            {
                _files[file.Id] = file;
                _byPath[file.Path] = file;
            }
            else
            {
                journal.Drop(file.Id);
            }
        }

        return LastPlaces(_files.Values);
    }

    /// <summary>Everything that the journal should say, for its compaction.</summary>
    public List<ReferencedFile> Finished()
    {
        lock (_gate)
        {
            return [.. _files.Values.Where(file => file.Unfinished is null).OrderBy(file => file.Id)];
        }
    }

    /// <summary>See <see cref="ShardStore.ReferenceAsync"/>.</summary>
    public async ValueTask ReferenceAsync(string path, FileIdentity identity, IReadOnlyList<FileExtent> extents, CancellationToken cancellationToken)
    {
        path = Path.GetFullPath(path);
        foreach (var (shard, offset) in extents)
        {
            if (shard.Size <= 0 || offset < 0 || offset > identity.Size - shard.Size)
            {
                throw new ArgumentException($"shard {shard.Digest.ToShortString()}, {shard.Size} bytes at {offset}, does not lie in {path} of {identity.Size} bytes", nameof(extents));
            }
        }

        await _oneChange.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            if (ReferencedFile.IdentityAt(path) != identity)
            {
                throw new StoreException(StoreError.NotAllowed, $"{path} was changed, replaced or removed while it was hashed; let it come to rest and try again");
            }

            var file = Known(path);
            if (file is not null && file.Identity != identity)
            {
                await DropLockedAsync(file.Id, cancellationToken).ConfigureAwait(false);
                file = null;
            }

            file ??= Add(path, identity, unfinished: null);
            var added = AddExtents(file, extents);
            journal.Append(file, added);
            await journal.CommitAsync(cancellationToken).ConfigureAwait(false);
            foreach (var extent in extents)
            {
                Point(extent, file.Id);
            }

            DropUnfinishedTwins(identity);
        }
        finally
        {
            _oneChange.Release();
        }
    }

    /// <summary>Serves a shard from the unfinished files of a pull that has just written or scanned it.</summary>
    public async ValueTask ReferenceUnfinishedAsync(ShardInfo shard, IReadOnlyList<ShardPlace> places, CancellationToken cancellationToken)
    {
        if (places.Count == 0)
        {
            return;
        }

        var place = places[0];
        if (Known(place.Path) is { Unfinished: not null } known)
        {
            AddExtents(known, [new FileExtent(shard, place.Offset)]);
            Point(new FileExtent(shard, place.Offset), known.Id);
            return;
        }

        await _oneChange.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            var file = Known(place.Path);
            if (file is { Unfinished: null } && !file.IsUnchanged())
            {
                await DropLockedAsync(file.Id, cancellationToken).ConfigureAwait(false);
                file = null;
            }

            if (file is null)
            {
                var handle = PosixFile.OpenRead(place.Path, followSymlinks: false);
                file = Add(place.Path, FileIdentity.Of(handle), new SharedFile(handle));
            }

            var added = AddExtents(file, [new FileExtent(shard, place.Offset)]);
            if (file.Unfinished is null)
            {
                journal.Append(file, added);
            }

            Point(new FileExtent(shard, place.Offset), file.Id);
        }
        finally
        {
            _oneChange.Release();
        }
    }

    /// <summary>Opens a file that a record points into; null when it is gone or not the same any more. The caller releases it.</summary>
    public SharedFile? TryOpen(int fileId)
    {
        ReferencedFile? file;
        lock (_gate)
        {
            if (!_files.TryGetValue(fileId, out file))
            {
                return null;
            }
        }

        if (file.Unfinished is { } unfinished)
        {
            return unfinished.TryShare() ? unfinished : null;
        }

        try
        {
            // The path first: a file that was deleted or replaced is still readable through a handle opened earlier, and must not be served.
            return file.IsUnchanged() ? _open.TryOpen(file) : null;
        }
        catch (IOException)
        {
            return null;
        }
    }

    /// <summary>The path of a file, for messages.</summary>
    public string? PathOf(int fileId)
    {
        lock (_gate)
        {
            return _files.GetValueOrDefault(fileId)?.Path;
        }
    }

    /// <summary>Drops every replica in a file: it changed, or it holds other bytes than it should, so none of it can be trusted.</summary>
    public async ValueTask DropFileAsync(int fileId, CancellationToken cancellationToken)
    {
        await _oneChange.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            await DropLockedAsync(fileId, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            _oneChange.Release();
        }
    }

    /// <summary>Forgets one shard's references, in whatever files. Durable on return.</summary>
    public async ValueTask<bool> ForgetAsync(Digest digest, CancellationToken cancellationToken)
    {
        await _oneChange.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            if (!Unpoint(digest, fileId: null, replacement: null))
            {
                return false;
            }

            lock (_gate)
            {
                foreach (var file in _files.Values)
                {
                    file.Extents.RemoveAll(extent => extent.Shard.Digest == digest);
                }
            }

            journal.Forget(digest);
            await journal.CommitAsync(cancellationToken).ConfigureAwait(false);
            return true;
        }
        finally
        {
            _oneChange.Release();
        }
    }

    /// <summary>Drops unfinished files that were removed by somebody, so that their room on the disk comes back.</summary>
    public async Task DropVanishedAsync(CancellationToken cancellationToken)
    {
        List<ReferencedFile> unfinished;
        lock (_gate)
        {
            unfinished = [.. _files.Values.Where(file => file.Unfinished is not null)];
        }

        foreach (var file in unfinished.Where(file => !file.IsSameInode()))
        {
            await DropFileAsync(file.Id, cancellationToken).ConfigureAwait(false);
        }
    }

    public void Dispose()
    {
        foreach (var file in _files.Values)
        {
            file.Unfinished?.Release();
        }

        _open.Dispose();
        _oneChange.Dispose();
    }

    private ReferencedFile? Known(string path)
    {
        lock (_gate)
        {
            return _byPath.GetValueOrDefault(path);
        }
    }

    private ReferencedFile Add(string path, FileIdentity identity, SharedFile? unfinished)
    {
        lock (_gate)
        {
            var file = new ReferencedFile(++_lastId, path, identity, unfinished);
            _files.Add(file.Id, file);
            _byPath[path] = file;
            return file;
        }
    }

    /// <summary>Adds the extents that the file does not have yet, and returns those.</summary>
    private List<FileExtent> AddExtents(ReferencedFile file, IReadOnlyList<FileExtent> extents)
    {
        lock (_gate)
        {
            var known = extents.Count > 1 ? file.Extents.ToHashSet() : null;
            var added = extents.Where(extent => known is null ? !file.Extents.Contains(extent) : known.Add(extent)).ToList();
            file.Extents.AddRange(added);
            return added;
        }
    }

    /// <summary>Makes the index's record of a shard point into a file, proven.</summary>
    private void Point(FileExtent extent, int fileId)
    {
        using var slot = index.Lock(extent.Shard.Digest);
        var record = slot.Record;
        record.Size = extent.Shard.Size;
        record.Tiers |= Tiers.Reference;
        record.Proven |= Tiers.Reference;
        record.FileId = fileId;
        record.FileOffset = extent.Offset;
        record.LastUse = time.GetUtcNow().Ticks;
        slot.Set(record);
    }

    /// <summary>Makes the record of a shard point to another place, unproven, or nowhere; only if it points into <paramref name="fileId"/> (null: any file).</summary>
    private bool Unpoint(Digest digest, int? fileId, (FileExtent Extent, int FileId)? replacement)
    {
        using var slot = index.Lock(digest);
        var record = slot.Record;
        if (!record.Has(Tiers.Reference) || (fileId is { } only && record.FileId != only))
        {
            return false;
        }

        record.Proven &= ~Tiers.Reference;
        if (replacement is { } other)
        {
            (record.FileId, record.FileOffset) = (other.FileId, other.Extent.Offset);
        }
        else
        {
            record.Tiers &= ~Tiers.Reference;
        }

        slot.Set(record);
        return true;
    }

    private async ValueTask DropLockedAsync(int fileId, CancellationToken cancellationToken)
    {
        if (Remove(fileId) is not { } file)
        {
            return;
        }

        if (file.Unfinished is null)
        {
            journal.Drop(fileId);
            await journal.CommitAsync(cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>Takes a file out of the tables and its shards out of the index, except those that another file holds too.</summary>
    private ReferencedFile? Remove(int fileId)
    {
        ReferencedFile? file;
        Dictionary<Digest, (FileExtent, int)> elsewhere;
        lock (_gate)
        {
            if (!_files.Remove(fileId, out file))
            {
                return null;
            }

            if (_byPath.GetValueOrDefault(file.Path) == file)
            {
                _byPath.Remove(file.Path);
            }

            var lost = file.Extents.Select(extent => extent.Shard.Digest).ToHashSet();
            elsewhere = LastPlaces(_files.Values, lost);
        }

        foreach (var extent in file.Extents)
        {
            var digest = extent.Shard.Digest;
            Unpoint(digest, fileId, elsewhere.TryGetValue(digest, out var other) ? other : null);
        }

        _open.Close(fileId);
        file.Unfinished?.Release();
        return file;
    }

    /// <summary>A pulled file has been referenced under its final name; its unfinished self, the same inode, has nothing more to say.</summary>
    private void DropUnfinishedTwins(FileIdentity identity)
    {
        List<int> twins;
        lock (_gate)
        {
            twins = [.. _files.Values
                .Where(file => file.Unfinished is not null && (file.Identity.Device, file.Identity.Inode) == (identity.Device, identity.Inode))
                .Select(file => file.Id)];
        }

        twins.ForEach(id => Remove(id));
    }

    private static Dictionary<Digest, (FileExtent Extent, int FileId)> LastPlaces(IEnumerable<ReferencedFile> files, HashSet<Digest>? only = null)
    {
        var places = new Dictionary<Digest, (FileExtent, int)>();
        foreach (var file in files.OrderBy(file => file.Id))
        {
            foreach (var extent in file.Extents)
            {
                if (only is null || only.Contains(extent.Shard.Digest))
                {
                    places[extent.Shard.Digest] = (extent, file.Id);
                }
            }
        }

        return places;
    }
}
