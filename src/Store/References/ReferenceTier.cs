using Microsoft.Win32.SafeHandles;
using P2PWeights.Native.Posix;
using P2PWeights.Store.Adopting;
using P2PWeights.Store.Content;
using P2PWeights.Store.Folders;
using P2PWeights.Store.Index;
using P2PWeights.Store.Journals;

namespace P2PWeights.Store.References;

/// <summary>
/// The reference tier: ranges of files that somebody else owns. Finished files are journalled, so that they are known after a restart;
/// files that a pull is still writing are not, the pull's own scan finds them again; and neither are ranges borrowed from another node's arena.
/// Changes to the set of files run one at a time; look-ups and shards added to a known unfinished file do not wait for them.
/// </summary>
internal sealed class ReferenceTier(ShardIndex index, ReferenceJournal journal, TimeProvider time) : IDisposable
{
    private const int OpenFiles = 256;

    private readonly SemaphoreSlim _oneChange = new(1);
    private readonly OpenFileCache _open = new(OpenFiles);
    private readonly ReferencedFileTable _files = new();
    private readonly BorrowedRanges _borrowed = new();
    private readonly CommitGroup _commits = new(journal.CommitAsync);

    /// <summary>Shards that files and borrowed ranges hold, and their bytes; a shard in two places counts twice.</summary>
    public (long Shards, long Bytes) Usage
    {
        get
        {
            var (inFiles, borrowed) = (_files.Usage, _borrowed.Usage);
            return (inFiles.Shards + borrowed.Shards, inFiles.Bytes + borrowed.Bytes);
        }
    }

    /// <summary>Takes over what the journal holds; files that changed since are dropped.</summary>
    /// <returns>Per shard, the place to be indexed.</returns>
    public Dictionary<Digest, ReferencedPlace> Load()
    {
        foreach (var file in journal.Recovered)
        {
            if (file.IsUnchanged())
            {
                _files.Put(file);
            }
            else
            {
                _files.Reserve(file.Id);
                journal.Drop(file.Id);
            }
        }

        return _files.LastPlaces(only: null);
    }

    /// <summary>Lets the journal write anew what it should say, if that is worth it. No file comes or goes meanwhile: what came would be cut off.</summary>
    public async Task CompactJournalAsync(CancellationToken cancellationToken)
    {
        using var change = await EnterAsync(cancellationToken).ConfigureAwait(false);
        await journal.CompactAsync(_files.Where(file => file.Unfinished is null), cancellationToken).ConfigureAwait(false);
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

        using var change = await EnterAsync(cancellationToken).ConfigureAwait(false);
        if (ReferencedFile.IdentityAt(path) != identity)
        {
            throw new StoreException(StoreError.NotAllowed, $"{path} was changed, replaced or removed while it was hashed; let it come to rest and try again");
        }

        var former = _files.Find(path);
        var file = former is { Unfinished: null } && former.Identity == identity ? former : _files.Add(path, identity, unfinished: null);
        journal.Append(file, _files.AddExtents(file, extents) ?? []);
        await journal.CommitAsync(cancellationToken).ConfigureAwait(false);
        foreach (var extent in extents)
        {
            Point(extent, file.Id, proven: true);
        }

        // Only now, so that shards that stay are never announced lost.
        if (former is not null && former.Id != file.Id)
        {
            await DropAsync(former.Id, cancellationToken).ConfigureAwait(false);
        }

        // A pulled file's unfinished self, the same inode under its former name, has nothing more to say.
        foreach (var twin in _files.Where(other => other.Unfinished is not null && other.Identity.IsSameInode(identity)))
        {
            Remove(twin.Id);
        }
    }

    /// <summary>Serves a shard from the unfinished files of a pull that has just written or scanned it.</summary>
    /// <param name="places">Where it lies; the first is used.</param>
    /// <exception cref="StoreException">The file cannot be opened to be served.</exception>
    public async ValueTask ReferenceUnfinishedAsync(ShardInfo shard, IReadOnlyList<ShardPlace> places, CancellationToken cancellationToken)
    {
        if (places.Count == 0)
        {
            return;
        }

        var extent = new FileExtent(shard, places[0].Offset);

        // Current: an earlier pull's file of the same name, removed since, is still open here and does not hold what this pull has written.
        if (_files.Find(places[0].Path) is { Unfinished: not null } known && known.IsCurrent() && _files.AddExtents(known, [extent]) is not null)
        {
            Point(extent, known.Id, proven: true);
            return;
        }

        using var change = await EnterAsync(cancellationToken).ConfigureAwait(false);
        var file = _files.Find(places[0].Path);
        if (file is not null && !file.IsCurrent())
        {
            await DropAsync(file.Id, cancellationToken).ConfigureAwait(false);
            file = null;
        }

        file ??= AddUnfinished(places[0].Path);
        if (_files.AddExtents(file, [extent]) is { Count: > 0 } added && file.Unfinished is null)
        {
            journal.Append(file, added);
        }

        Point(extent, file.Id, proven: true);
    }

    /// <summary>Takes a range of another node's file as a reference of our own, not proven yet. Durable on return; many at once share the journal's commits.</summary>
    /// <returns>False when the file has been changed meanwhile, or is one that a pull is still writing.</returns>
    public async ValueTask<bool> AdoptAsync(ForeignFile foreign, FileExtent extent, CancellationToken cancellationToken)
    {
        if (FolderPlan.OtherPull(foreign.Path) is not null || await EnterForeignAsync(foreign, extent, cancellationToken).ConfigureAwait(false) is not { } file)
        {
            return false;
        }

        await _commits.CommitAsync(cancellationToken).ConfigureAwait(false);
        Point(extent, file.Id, proven: false);
        return true;
    }

    /// <summary>Takes a borrowed range over as a reference, not proven yet; given back at once when the shard is held already.</summary>
    public void Borrow(BorrowedRange range)
    {
        var id = _borrowed.Add(range);
        bool isTaken;
        using (var slot = index.Lock(range.Shard.Digest))
        {
            var record = slot.Record;
            isTaken = record.Tiers == Tiers.None;
            if (isTaken)
            {
                slot.Set(new ShardRecord
                {
                    Size = range.Shard.Size,
                    Tiers = Tiers.Reference,
                    FileId = id,
                    FileOffset = range.Offset,
                    LastUse = time.GetUtcNow().Ticks,
                });
            }
        }

        if (!isTaken)
        {
            _borrowed.Drop(id);
        }
    }

    /// <summary>A borrowed range for a lease, which releases it; null when it is gone, or no longer what was promised.</summary>
    public BorrowedRange? TryUseBorrowed(int fileId) => _borrowed.TryUse(fileId);

    /// <summary>A borrowed range, whatever the promise is worth by now, for the caller to release; null when the number names none.</summary>
    public BorrowedRange? TryHoldBorrowed(int fileId) => _borrowed.Find(fileId) is { } range && range.TryShare() ? range : null;

    /// <summary>Ends the borrowing of a shard.</summary>
    public void DropBorrowed(Digest digest, int fileId)
    {
        Unpoint(digest, fileId, replacement: null);
        _borrowed.Drop(fileId);
    }

    /// <summary>Opens a file that a record points into; null when it is gone or not the same any more. The caller releases it.</summary>
    /// <exception cref="StoreException">This process is short of file handles or memory, which says nothing of the file.</exception>
    public SharedFile? TryOpen(int fileId)
    {
        if (_files.Find(fileId) is not { } file)
        {
            return null;
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
        catch (IOException failure) when (Errno.IsShortage(failure))
        {
            throw StoreFailure.Of(failure, $"opening {file.Path}");
        }
        catch (IOException)
        {
            return null;
        }
    }

    /// <summary>The file that a record points into; null when it was dropped meanwhile, or is borrowed.</summary>
    public ReferencedFile? Find(int fileId) => _files.Find(fileId);

    /// <summary>The path that a record points into, for messages.</summary>
    public string? PathOf(int fileId) => _files.Find(fileId)?.Path ?? _borrowed.Find(fileId)?.Arena.Path;

    /// <summary>
    /// Drops a replica that a look showed to be gone or wrong. With a file that has been changed, or that cannot be opened, goes all that it held: none of it can be trusted, or served. Of a file that is the
    /// same, and of an arena, only this range goes: that it ever was there may be no more than a peer's word, which must not cost this node what it published itself.
    /// </summary>
    /// <param name="wasOpen">Whether the look could open the file.</param>
    /// <param name="wasProven">Whether the bytes had been right before. Then the file changes behind its identity, and what else it holds is hashed once more before it is served.</param>
    public async ValueTask DropWrongAsync(int fileId, Digest digest, long offset, bool wasOpen, bool wasProven, CancellationToken cancellationToken)
    {
        if (BorrowedRanges.IsBorrowed(fileId))
        {
            DropBorrowed(digest, fileId);
            return;
        }

        using var change = await EnterAsync(cancellationToken).ConfigureAwait(false);
        if (wasOpen && _files.Find(fileId) is { } file && file.IsCurrent() && _files.RemoveExtents(file, digest, offset) is (var removed, var others))
        {
            Unpoint(digest, fileId, _files.LastPlaces([digest]).TryGetValue(digest, out var place) ? place : null);
            if (wasProven)
            {
                others.ForEach(other => Unprove(other, fileId));
            }

            if (file.Unfinished is null && removed.Count > 0)
            {
                journal.Remove(fileId, removed);
                await journal.CommitAsync(cancellationToken).ConfigureAwait(false);
            }

            return;
        }

        await DropAsync(fileId, cancellationToken).ConfigureAwait(false);

        // Also when the file was gone from the table already and only this record had been left pointing to it.
        Unpoint(digest, fileId, replacement: null);
    }

    /// <summary>Forgets one shard's references, in whatever files. Durable on return.</summary>
    public async ValueTask<bool> ForgetAsync(Digest digest, CancellationToken cancellationToken)
    {
        using var change = await EnterAsync(cancellationToken).ConfigureAwait(false);
        if (!Unpoint(digest, fileId: null, replacement: null))
        {
            return false;
        }

        _files.RemoveShard(digest);
        journal.Forget(digest);
        await journal.CommitAsync(cancellationToken).ConfigureAwait(false);
        return true;
    }

    /// <summary>Drops unfinished files that were removed by somebody, so that their room on the disk comes back.</summary>
    public async Task DropVanishedAsync(CancellationToken cancellationToken)
    {
        foreach (var file in _files.Where(file => file.Unfinished is not null))
        {
            if (!file.IsCurrent())
            {
                using var change = await EnterAsync(cancellationToken).ConfigureAwait(false);
                Remove(file.Id);
            }
        }
    }

    public void Dispose()
    {
        foreach (var file in _files.Where(file => file.Unfinished is not null))
        {
            file.Unfinished!.Release();
        }

        _borrowed.Dispose();
        _open.Dispose();
        _oneChange.Dispose();
    }

    private ReferencedFile AddUnfinished(string path)
    {
        SafeFileHandle? handle = null;
        try
        {
            handle = PosixFile.OpenRead(path, followSymlinks: false);
            return _files.Add(path, FileIdentity.Of(handle), new SharedFile(handle));
        }
        catch (IOException failure)
        {
            handle?.Dispose();
            throw StoreFailure.Of(failure, $"serving shards from {path}");
        }
    }

    /// <summary>Adds an extent of another node's file to the table and the journal; null when the file is not the same any more.</summary>
    private async ValueTask<ReferencedFile?> EnterForeignAsync(ForeignFile foreign, FileExtent extent, CancellationToken cancellationToken)
    {
        using var change = await EnterAsync(cancellationToken).ConfigureAwait(false);
        var former = _files.Find(foreign.Path);
        if (former?.Unfinished is not null || ReferencedFile.IdentityAt(foreign.Path) != foreign.Identity)
        {
            return null;
        }

        var file = former?.Identity == foreign.Identity ? former : _files.Add(foreign.Path, foreign.Identity, unfinished: null);
        journal.Append(file, _files.AddExtents(file, [extent]) ?? []);
        if (former is not null && former.Id != file.Id)
        {
            await DropAsync(former.Id, cancellationToken).ConfigureAwait(false);
        }

        return file;
    }

    /// <summary>Makes the index's record of a shard point into a file; a proven place is not left for one that is not.</summary>
    private void Point(FileExtent extent, int fileId, bool proven)
    {
        var former = 0;
        using (var slot = index.Lock(extent.Shard.Digest))
        {
            var record = slot.Record;
            if (record.IsProven(Tiers.Reference) && !proven)
            {
                return;
            }

            if (record.Has(Tiers.Reference))
            {
                former = record.FileId;
            }

            record.Size = extent.Shard.Size;
            record.Tiers |= Tiers.Reference;
            record.Proven = proven ? record.Proven | Tiers.Reference : record.Proven;
            record.FileId = fileId;
            record.FileOffset = extent.Offset;
            record.LastUse = time.GetUtcNow().Ticks;
            slot.Set(record);
        }

        // Not under the slot's lock: what is borrowed is given back.
        _borrowed.Drop(former);
    }

    /// <summary>Makes the record of a shard point to another place, unproven, or nowhere; only if it points into <paramref name="fileId"/> (null: any file).</summary>
    private bool Unpoint(Digest digest, int? fileId, ReferencedPlace? replacement)
    {
        int former;
        using (var slot = index.Lock(digest))
        {
            var record = slot.Record;
            if (!record.Has(Tiers.Reference) || (fileId is { } only && record.FileId != only))
            {
                return false;
            }

            former = record.FileId;
            record.Proven &= ~Tiers.Reference;
            if (replacement is { } place)
            {
                (record.FileId, record.FileOffset) = (place.FileId, place.Extent.Offset);
            }
            else
            {
                record.Tiers &= ~Tiers.Reference;
            }

            slot.Set(record);
        }

        _borrowed.Drop(former);
        return true;
    }

    /// <summary>A shard is to be hashed before it is served from this file again.</summary>
    private void Unprove(Digest digest, int fileId)
    {
        using var slot = index.Lock(digest);
        var record = slot.Record;
        if (record.IsProven(Tiers.Reference) && record.FileId == fileId)
        {
            record.Proven &= ~Tiers.Reference;
            slot.Set(record);
        }
    }

    private bool PointsInto(Digest digest, int fileId) => index.Find(digest) is var record && record.Has(Tiers.Reference) && record.FileId == fileId;

    private async ValueTask DropAsync(int fileId, CancellationToken cancellationToken)
    {
        if (Remove(fileId) is { Unfinished: null })
        {
            journal.Drop(fileId);
            await journal.CommitAsync(cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>Takes a file out of the table and its shards out of the index, except those that another file holds too.</summary>
    private ReferencedFile? Remove(int fileId)
    {
        if (_files.Remove(fileId) is not { } file)
        {
            return null;
        }

        // Mostly none or all: of a pulled file's unfinished self, the records point to the final one already. Looking for other places goes through all files.
        var digests = file.Extents.Select(extent => extent.Shard.Digest).Where(digest => PointsInto(digest, fileId)).ToHashSet();
        var elsewhere = digests.Count > 0 ? _files.LastPlaces(digests) : [];
        foreach (var digest in digests)
        {
            Unpoint(digest, fileId, elsewhere.TryGetValue(digest, out var place) ? place : null);
        }

        _open.Close(fileId);
        file.Unfinished?.Release();
        return file;
    }

    private async ValueTask<Change> EnterAsync(CancellationToken cancellationToken)
    {
        await _oneChange.WaitAsync(cancellationToken).ConfigureAwait(false);
        return new Change(_oneChange);
    }

    /// <summary>One change of the set of files, until disposed.</summary>
    private readonly struct Change(SemaphoreSlim gate) : IDisposable
    {
        public void Dispose() => gate.Release();
    }
}
